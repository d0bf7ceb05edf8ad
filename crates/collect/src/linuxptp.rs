//! What a running program of linuxptp does, by its command line and the configuration file that it names.

use std::collections::BTreeMap;

use lowlat_model::Reading;
use lowlat_model::facts::PtpProgram;
use lowlat_sys::Sys;

/// Letters that take a value, by program (the optstrings of ptp4l.c, phc2sys.c and ts2phc.c in linuxptp 4.2). Every long
/// option takes one: each is a setting of the configuration (config.c, config_long_options).
const TAKE_A_VALUE: &[(&str, &str)] = &[("ptp4l", "fipl"), ("phc2sys", "cdfsEPISFRNOLMiunzlt"), ("ts2phc", "cfils")];

/// Options in the order given: `i` → `eth0`, `domainNumber` → `24`, `m` → nothing.
pub(crate) struct Options(Vec<(String, Option<String>)>);

impl Options {
    /// Reads a command line as getopt_long(3) does: letters may share a word, a value is the rest of the word or the next
    /// one, `--name=value` and `--name value` are the same, and `--` ends the options.
    pub(crate) fn of(program: &str, line: &str) -> Self {
        let takes = TAKE_A_VALUE.iter().find(|(name, _)| *name == program).map_or("", |(_, letters)| letters);
        let mut all = Vec::new();
        let mut words = line.split('\0').skip(1).filter(|w| !w.is_empty());
        while let Some(word) = words.next() {
            if word == "--" {
                break;
            }
            if let Some(long) = word.strip_prefix("--") {
                let (name, value) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value)),
                    None => (long, words.next()),
                };
                all.push((name.to_owned(), value.map(str::to_owned)));
                continue;
            }
            let Some(letters) = word.strip_prefix('-') else { continue };
            for (at, letter) in letters.char_indices() {
                if !takes.contains(letter) {
                    all.push((letter.to_string(), None));
                    continue;
                }
                let rest = letters.get(at + letter.len_utf8()..).filter(|rest| !rest.is_empty());
                all.push((letter.to_string(), rest.or_else(|| words.next()).map(str::to_owned)));
                break;
            }
        }
        Self(all)
    }

    /// An option was given, by its letter or its name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n == name)
    }

    /// The values of an option, in order.
    fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).filter_map(|(_, value)| value.as_deref())
    }

    /// The kind of stamps, by letter or by name: the last of them counts.
    fn stamping(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|(name, value)| match name.as_str() {
            "S" => Some("software"),
            "H" => Some("hardware"),
            "L" => Some("legacy"),
            "time_stamping" => value.as_deref(),
            _ => None,
        })
    }

    /// The last value of an option.
    pub(crate) fn last(&self, name: &str) -> Option<&str> {
        self.all(name).last()
    }
}

/// A configuration file: `[global]`, and a section for each port. Sections of other kinds are left out.
#[derive(Default)]
struct Config {
    global: BTreeMap<String, String>,
    ports: Vec<(String, BTreeMap<String, String>)>,
}

impl Config {
    /// A name and its value a line, with blanks between; `#` begins a comment (config.c, config_read).
    fn of(text: &str) -> Self {
        let mut config = Self::default();
        let mut section: Option<String> = None;
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.split(']').next()) {
                let name = name.trim().to_owned();
                if !OTHER_SECTIONS.iter().any(|s| s.eq_ignore_ascii_case(&name)) {
                    config.ports.push((name.clone(), BTreeMap::new()));
                }
                section = Some(name);
                continue;
            }
            let Some((name, value)) = line.split_once(char::is_whitespace) else { continue };
            let (name, value) = (name.to_owned(), value.trim().to_owned());
            match section.as_deref() {
                Some(s) if s.eq_ignore_ascii_case("global") => drop(config.global.insert(name, value)),
                Some(s) => {
                    if let Some((_, settings)) = config.ports.iter_mut().rev().find(|(port, _)| port == s) {
                        settings.insert(name, value);
                    }
                }
                None => {}
            }
        }
        config
    }
}

/// Sections that name no port.
const OTHER_SECTIONS: &[&str] = &["global", "unicast_master_table", "nmea"];

/// Places whose files belong to root, so that no user can make lowlat wait or read for ever by a command line. A mount of
/// each user's own is not one of them.
fn is_roots(path: &str) -> bool {
    ["/etc/", "/usr/", "/opt/", "/run/", "/var/run/"].iter().any(|root| path.starts_with(root))
        && !path.starts_with("/run/user/")
        && !path.starts_with("/var/run/user/")
        && !path.split('/').any(|part| part == "..")
}

/// What this program does. `line` is `/proc/PID/cmdline`.
pub(crate) fn program(sys: &dyn Sys, program: &str, line: &str) -> PtpProgram {
    let options = Options::of(program, line);
    let mut found = PtpProgram { program: program.to_owned(), ..PtpProgram::default() };
    let mut config = Config::default();
    if let Some(path) = options.last("f") {
        found.config = Some(path.to_owned());
        let read = if is_roots(path) {
            sys.read(path)
        } else {
            Reading::Unsupported(format!("{path} is in no folder of root's; lowlat does not follow it"))
        };
        match read {
            Reading::Value(text) => config = Config::of(&text),
            other => found.config_unread = other.why_not().map(|(kind, why)| format!("{kind}: {why}")),
        }
    }
    // The command line wins over the file (config.c, CFG_ITEM_LOCKED).
    let setting = |name: &str| options.last(name).or_else(|| config.global.get(name).map(String::as_str));
    let domain = options.last("n").filter(|_| program == "phc2sys").or_else(|| setting("domainNumber"));
    found.domain = domain.and_then(|d| d.parse().ok());
    let servo = options.last("E").or_else(|| setting("clock_servo"));
    // These hand the time to another program instead of steering a clock (ptp4l(8), clock_servo).
    let feeds = servo.is_some_and(|s| matches!(s, "ntpshm" | "refclock_sock" | "nullf"));
    match program {
        "ptp4l" => {
            let stamping = options.stamping().or_else(|| setting("time_stamping"));
            found.software_stamps = stamping == Some("software");
            found.profile = Some(profile(&setting).to_owned());
            found.system_clock = found.software_stamps && !feeds && !is_on(setting("free_running"));
            if !feeds && !is_on(setting("free_running")) {
                found.steers = following_ports(&options, &config);
            }
        }
        "phc2sys" => {
            found.automatic = options.has("a");
            let named: Vec<&str> = options.all("c").collect();
            let system = if found.automatic { options.has("r") } else { named.is_empty() };
            found.system_clock = !feeds && (system || named.contains(&"CLOCK_REALTIME"));
            found.steers = named.into_iter().filter(|c| *c != "CLOCK_REALTIME" && !feeds).map(str::to_owned).collect();
        }
        "ts2phc" => {
            let gives = |own: &BTreeMap<String, String>| is_on(own.get("ts2phc.master").map(String::as_str));
            found.steers = options.all("c").map(str::to_owned).collect();
            found.steers.extend(config.ports.iter().filter(|(_, own)| !gives(own)).map(|(name, _)| name.clone()));
        }
        _ => {}
    }
    found
}

/// A switch of the configuration.
fn is_on(value: Option<&str>) -> bool {
    value.is_some_and(|v| v.parse::<i64>().is_ok_and(|n| n != 0))
}

/// The ports of a ptp4l whose clocks it steers. A port that only serves follows nobody (ptp4l(8), serverOnly; masterOnly is
/// its older name); its own section of the file wins over `[global]`.
fn following_ports(options: &Options, config: &Config) -> Vec<String> {
    const SERVES: [&str; 2] = ["serverOnly", "masterOnly"];
    let given = |name: &str| options.last(name).or_else(|| config.global.get(name).map(String::as_str));
    let all_serve = SERVES.iter().any(|name| is_on(given(name)));
    let mut ports: Vec<(&str, bool)> = options.all("i").map(|port| (port, all_serve)).collect();
    for (port, own) in &config.ports {
        let own = SERVES.iter().find_map(|name| own.get(*name));
        let serves = own.map_or(all_serve, |value| is_on(Some(value)));
        match ports.iter_mut().find(|(name, _)| *name == port.as_str()) {
            Some((_, already)) => *already = serves,
            None => ports.push((port.as_str(), serves)),
        }
    }
    ports.into_iter().filter(|(_, serves)| !serves).map(|(port, _)| port.to_owned()).collect()
}

/// The profile that the settings amount to: linuxptp has none by name, its example files set these (configs/gPTP.cfg,
/// configs/G.8275.1.cfg, configs/G.8275.2.cfg in linuxptp 4.2).
fn profile<'a>(setting: &impl Fn(&str) -> Option<&'a str>) -> &'static str {
    let is = |name: &str, wanted: &str| setting(name).is_some_and(|v| v.eq_ignore_ascii_case(wanted));
    if is("dataset_comparison", "G.8275.x") {
        return if is("network_transport", "L2") { "ITU-T G.8275.1" } else { "ITU-T G.8275.2" };
    }
    if is("transportSpecific", "0x1") || is("transportSpecific", "1") {
        return "IEEE 802.1AS";
    }
    "IEEE 1588 default"
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::FakeSys;
    use proptest::prelude::*;

    use super::*;

    fn of(name: &str, line: &str) -> PtpProgram {
        program(&FakeSys::new(), name, &line.replace(' ', "\0"))
    }

    fn steers(name: &str, line: &str) -> (String, bool, Option<u8>) {
        let found = of(name, line);
        (found.steers.join(","), found.software_stamps, found.domain)
    }

    #[test]
    fn letters_and_names_are_read_as_getopt_reads_them() {
        assert_eq!(steers("ptp4l", "ptp4l -i eth0 -ieth1 -m"), ("eth0,eth1".into(), false, None));
        assert_eq!(steers("ptp4l", "ptp4l -mi eth0"), ("eth0".into(), false, None), "letters share a word");
        assert_eq!(steers("ptp4l", "ptp4l -mqSieth0"), ("eth0".into(), true, None));
        assert_eq!(steers("ptp4l", "ptp4l -S -i eth0 --domainNumber=24"), ("eth0".into(), true, Some(24)));
        assert_eq!(steers("ptp4l", "ptp4l --domainNumber 24 -i eth0"), ("eth0".into(), false, Some(24)));
        assert_eq!(steers("ptp4l", "ptp4l --time_stamping software -i eth0"), ("eth0".into(), true, None));
        assert_eq!(steers("ptp4l", "ptp4l --time_stamping=software -H -i eth0"), ("eth0".into(), false, None));
        assert_eq!(steers("ptp4l", "ptp4l -H --time_stamping software -i eth0"), ("eth0".into(), true, None));
        assert_eq!(steers("ptp4l", "ptp4l -l 6 -i eth0 -p /dev/ptp0"), ("eth0".into(), false, None));
        assert_eq!(steers("ptp4l", "ptp4l -i eth0 --serverOnly 1"), (String::new(), false, None), "it follows nobody");
        assert_eq!(steers("ptp4l", "ptp4l -i eth0 --free_running 1"), (String::new(), false, None));
        assert_eq!(steers("ptp4l", "ptp4l -i"), (String::new(), false, None));
        assert_eq!(steers("ptp4l", "ptp4l -- -i eth0"), (String::new(), false, None));
        assert_eq!(steers("ptp4l", ""), (String::new(), false, None));
        assert_eq!(steers("phc2sys", "phc2sys -s eth0 -c eth1"), ("eth1".into(), false, None));
        assert_eq!(steers("phc2sys", "phc2sys -ws eth0 -n 24"), (String::new(), false, Some(24)));
        assert_eq!(steers("ts2phc", "ts2phc -s generic -c /dev/ptp0"), ("/dev/ptp0".into(), false, None));
    }

    #[test]
    fn who_steers_the_system_clock() {
        let system = |name: &str, line: &str| of(name, line).system_clock;
        assert!(system("phc2sys", "phc2sys -s eth0 -w"));
        assert!(system("phc2sys", "phc2sys -s eth0 -c CLOCK_REALTIME -w"));
        assert!(!system("phc2sys", "phc2sys -s eth0 -c eth1"));
        assert!(!system("phc2sys", "phc2sys -a"), "the clocks of ptp4l's ports alone");
        assert!(system("phc2sys", "phc2sys -a -r") && system("phc2sys", "phc2sys -arm"));
        assert!(!system("phc2sys", "phc2sys -a -r -E ntpshm -M 0") && !system("phc2sys", "phc2sys -arEntpshm"));
        assert!(!system("phc2sys", "phc2sys -a -r --clock_servo refclock_sock"));
        assert!(system("ptp4l", "ptp4l -S -i eth0") && !system("ptp4l", "ptp4l -i eth0"));
        assert!(!system("ptp4l", "ptp4l --time_stamping software -E -i eth0 --clock_servo ntpshm"));
        assert!(of("phc2sys", "phc2sys -a").automatic && !of("phc2sys", "phc2sys -s a -w").automatic);
    }

    const FILE: &str = "# ours\n[global]\ndomainNumber\t24\nnetwork_transport L2\ndataset_comparison G.8275.x\n\
                        time_stamping software\n\n[unicast_master_table]\ntable_id 1\nUDPv4 192.0.2.1\n[ens1f0]\n[ens1f1]\n\
                        masterOnly 1\n";

    #[test]
    fn a_configuration_file_names_ports_domain_stamps_and_profile() {
        let sys = FakeSys::new().file("/etc/linuxptp/ptp4l.conf", FILE);
        let of = |line: &str| program(&sys, "ptp4l", &line.replace(' ', "\0"));
        let found = of("ptp4l -f /etc/linuxptp/ptp4l.conf");
        assert_eq!(found.steers, ["ens1f0"], "the other port only serves");
        assert_eq!((found.domain, found.software_stamps), (Some(24), true));
        assert_eq!(found.profile.as_deref(), Some("ITU-T G.8275.1"));
        assert_eq!((found.config.as_deref(), found.config_unread), (Some("/etc/linuxptp/ptp4l.conf"), None));
        let found = of("ptp4l -H -f /etc/linuxptp/ptp4l.conf --domainNumber 5 -i ens1f0 -i eth7");
        assert_eq!((found.domain, found.software_stamps), (Some(5), false), "the command line wins");
        assert_eq!(found.steers, ["ens1f0", "eth7"]);
        assert_eq!(of("ptp4l -i eth0").profile.as_deref(), Some("IEEE 1588 default"));
        assert_eq!(of("ptp4l -i eth0 --transportSpecific 0x1").profile.as_deref(), Some("IEEE 802.1AS"));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_said_and_none_of_a_user_is_opened() {
        let sys = FakeSys::new().file("/tmp/x.conf", FILE).file("/run/user/7/x.conf", FILE);
        for path in ["/tmp/x.conf", "/run/user/7/x.conf", "/etc/../tmp/x.conf", "x.conf", "/dev/zero"] {
            let found = program(&sys, "ptp4l", &format!("ptp4l\0-f\0{path}\0"));
            assert!(
                found.steers.is_empty() && found.config_unread.as_ref().is_some_and(|w| w.starts_with("unsupported"))
            );
        }
        let gone = program(&sys, "ptp4l", "ptp4l\0-f\0/etc/gone.conf\0-i\0eth0\0");
        assert_eq!(gone.steers, ["eth0"]);
        assert!(gone.config_unread.is_some_and(|why| why.starts_with("absent")));
    }

    #[test]
    fn ts2phc_steers_the_ports_of_its_file_but_its_source() {
        let text = "[global]\nuse_syslog 1\n[eth4]\nts2phc.master 1\n[eth5]\nts2phc.channel 0\n[eth6]\n";
        let sys = FakeSys::new().file("/etc/ts2phc.conf", text);
        assert_eq!(program(&sys, "ts2phc", "ts2phc\0-f\0/etc/ts2phc.conf").steers, ["eth5", "eth6"]);
    }

    proptest! {
        #[test]
        fn any_command_line_and_any_file_are_survived(line in "[-a-zA-Z0-9= \\PC]{0,60}", text in "\\PC{0,200}") {
            let sys = FakeSys::new().file("/etc/x", &text);
            for name in ["ptp4l", "phc2sys", "ts2phc"] {
                let _ = program(&sys, name, &line.replace(' ', "\0"));
                let _ = program(&sys, name, "x\0-f\0/etc/x");
            }
        }
    }
}
