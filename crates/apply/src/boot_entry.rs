//! A boot parameter's first boot: an entry of the boot loader's menu next to the others, with the parameters, which is asked
//! for by name and for one boot. A parameter that does not boot is then gone with the next one.
//!
//! | boot loader | the entry | asked for by |
//! |---|---|---|
//! | GRUB with its own menu | a block of `custom.cfg`, which `/etc/grub.d/41_custom` reads | `grub-reboot` |
//! | GRUB with entries of the Boot Loader Specification | a copy of the running kernel's entry | `grub2-reboot` |
//! | systemd-boot | the same | `bootctl set-oneshot` |
//!
//! The copy is made of the entry that the running kernel was started by, so it starts what started.

use lowlat_sys::Sys;

/// Where entries of the Boot Loader Specification are: `$BOOT/loader/entries` for each place that `$BOOT` is mounted at (the
/// specification, "The partitions").
const ENTRIES: [(&str, &str); 3] = [
    ("/boot/loader/entries", "/boot/loader/entries/a-lowlat.conf"),
    ("/efi/loader/entries", "/efi/loader/entries/a-lowlat.conf"),
    ("/boot/efi/loader/entries", "/boot/efi/loader/entries/a-lowlat.conf"),
];
/// GRUB's menu, what it reads behind its entries, and the program that asks for an entry once.
const MENUS: [(&str, &str, &str); 2] = [
    ("/boot/grub/grub.cfg", "/boot/grub/custom.cfg", "grub-reboot"),
    ("/boot/grub2/grub.cfg", "/boot/grub2/custom.cfg", "grub2-reboot"),
];
/// How the entry is asked for. Sorts behind every other: names are compared downwards (the specification, "Sorting").
const ID: &str = "a-lowlat";

/// The entry, and how it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Once {
    pub(crate) path: &'static str,
    pub(crate) text: String,
    pub(crate) command: String,
}

/// The entry with these parameters on this host; as text, why there is none.
pub(crate) fn once(sys: &dyn Sys, parameters: &[String]) -> Result<Once, String> {
    let release = sys.read("/proc/sys/kernel/osrelease").into_value().unwrap_or_default();
    let release = release.trim();
    let menu = MENUS.iter().find_map(|m| sys.read(m.0).into_value().map(|text| (m, text)));
    for (dir, path) in ENTRIES {
        let mut names = sys.list(dir).into_value().unwrap_or_default();
        names.retain(|n| n.ends_with(".conf") && *n != format!("{ID}.conf"));
        let texts = names.iter().filter_map(|n| sys.read(&format!("{dir}/{n}")).into_value());
        let Some(entry) = texts.into_iter().find(|text| starts(text, release)) else { continue };
        let command = match &menu {
            Some(((_, _, reboot), text)) if text.contains("blscfg") => format!("{reboot} {ID}"),
            _ => format!("bootctl set-oneshot {ID}.conf"),
        };
        return Ok(Once { path, text: copied(&entry, parameters), command });
    }
    let Some(((grub_cfg, path, reboot), text)) = menu else {
        return Err(
            "neither a menu of GRUB nor entries of the Boot Loader Specification are found; add it to the boot \
                    loader's command line"
                .to_owned(),
        );
    };
    let body = menu_entry(&text, release)
        .ok_or_else(|| format!("no entry of {grub_cfg} starts the running kernel {release}; run `update-grub`"))?;
    if !text.contains("custom.cfg") {
        return Err(format!("{grub_cfg} does not read {path}; install /etc/grub.d/41_custom and run `update-grub`"));
    }
    Ok(Once { path, text: grub_block(body, parameters), command: format!("{reboot} {ID}") })
}

/// Whether an entry of the specification starts a kernel of that release: its `version`, or the file name of its `linux`.
fn starts(entry: &str, release: &str) -> bool {
    let value = |key: &str| {
        entry.lines().find_map(|l| l.strip_prefix(key).filter(|v| v.starts_with([' ', '\t'])).map(str::trim))
    };
    let rescue = value("title").is_some_and(|t| t.to_ascii_lowercase().contains("rescue"));
    let linux = value("linux").is_some_and(|path| {
        let mut parts = path.rsplit('/');
        parts.next().is_some_and(|file| file.strip_prefix("vmlinuz-") == Some(release)) || parts.next() == Some(release)
    });
    !release.is_empty() && !rescue && (value("version") == Some(release) || linux)
}

/// A copy of an entry with parameters behind its own. Its `sort-key` puts it behind the others, so that no boot loader takes
/// it for the newest ("Sorting": entries with a key come first, in ascending order of the key).
fn copied(entry: &str, parameters: &[String]) -> String {
    let words = parameters.join(" ");
    let last = entry.lines().filter(|l| is_key(l, "options")).count();
    let mut seen = 0;
    let mut out = String::from("# Written by `lowlat persist`; `lowlat persist --remove` removes it.\n");
    for line in entry.lines() {
        let line = line.trim_end();
        if is_key(line, "options") {
            seen += 1;
        }
        out.push_str(if is_key(line, "sort-key") { "sort-key zz-lowlat" } else { line });
        if is_key(line, "options") && seen == last {
            out.push(' ');
            out.push_str(&words);
        }
        if is_key(line, "title") {
            out.push_str(" (lowlat, once)");
        }
        out.push('\n');
    }
    if last == 0 {
        out.push_str(&format!("options {words}\n"));
    }
    out
}

fn is_key(line: &str, key: &str) -> bool {
    line.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

/// The lines between the braces of the first menu entry that starts a kernel of that release and is not one for recovery.
fn menu_entry<'a>(grub_cfg: &'a str, release: &str) -> Option<&'a str> {
    let image = format!("vmlinuz-{release}");
    let mut rest = grub_cfg;
    while let Some(at) = rest.find("menuentry ") {
        let from_here = &rest[at..];
        let (head, body) = from_here.split_once("{\n")?;
        // grub-mkconfig closes an entry by a brace alone on its line.
        let end = body.lines().scan(0, |n, l| {
            let at = *n;
            *n += l.len() + 1;
            Some((at, l))
        });
        let end = end.into_iter().find(|(_, l)| l.trim() == "}").map_or(body.len(), |(at, _)| at);
        let text = body.get(..end)?;
        let linux = text.lines().find(|l| is_linux(l));
        let starts = linux.is_some_and(|l| l.split_whitespace().nth(1).is_some_and(|f| f.ends_with(&image)));
        let recovery = head.contains("recovery") || linux.is_some_and(|l| l.split_whitespace().any(|w| w == "single"));
        if starts && !recovery && !head.contains('\n') {
            return Some(text);
        }
        rest = &from_here["menuentry ".len()..];
    }
    None
}

fn is_linux(line: &str) -> bool {
    line.split_whitespace().next().is_some_and(|w| matches!(w, "linux" | "linuxefi" | "linux16"))
}

/// A menu entry of that body with parameters behind the kernel's own.
fn grub_block(body: &str, parameters: &[String]) -> String {
    let mut out = format!("menuentry 'lowlat: boot parameters, once' --id {ID} {{\n");
    for line in body.lines() {
        out.push_str(line.trim_end());
        if is_linux(line) {
            out.push(' ');
            out.push_str(&parameters.join(" "));
        }
        out.push('\n');
    }
    out.push_str("}\n");
    out
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::FakeSys;

    use super::*;

    const RELEASE: &str = "6.12.95+deb12-amd64";
    const MENU: &str = "function x {\n  echo\n}\nmenuentry 'old' --class os $menuentry_id_option 'gnulinux-old' {\n\
                        \tlinux\t/boot/vmlinuz-6.1.0 root=/dev/vda1 ro\n}\n\
                        menuentry 'new (recovery mode)' {\n\tlinux\t/boot/vmlinuz-6.12.95+deb12-amd64 root=/dev/vda1 ro single\n}\n\
                        submenu 'x' {\n\tmenuentry 'new' {\n\t\tload_video\n\
                        \t\tlinux\t/boot/vmlinuz-6.12.95+deb12-amd64 root=/dev/vda1 ro quiet\n\t\tif [ x ]; then\n\t\t  y\n\t\tfi\n\
                        \t\tinitrd\t/boot/initrd.img-6.12.95+deb12-amd64\n\t}\n}\n\
                        if [ -f  ${config_directory}/custom.cfg ]; then\n  source ${config_directory}/custom.cfg\nfi\n";
    const ENTRY: &str = "title Fedora Linux 41\nversion 6.12.95+deb12-amd64\nlinux /vmlinuz-6.12.95+deb12-amd64\n\
                         initrd /initramfs-6.12.95.img\noptions root=UUID=1 ro $tuned_params\ngrub_class fedora\nsort-key fedora\n";

    fn host() -> FakeSys {
        FakeSys::new().file("/proc/sys/kernel/osrelease", &format!("{RELEASE}\n"))
    }

    fn asked(sys: &FakeSys) -> Result<Once, String> {
        once(sys, &["isolcpus=1".to_owned(), "skew_tick=1".to_owned()])
    }

    #[test]
    fn the_entry_of_grub_is_that_of_the_running_kernel() {
        let once = asked(&host().file("/boot/grub/grub.cfg", MENU)).unwrap();
        assert_eq!((once.path, once.command.as_str()), ("/boot/grub/custom.cfg", "grub-reboot a-lowlat"));
        assert!(
            once.text.starts_with("menuentry 'lowlat: boot parameters, once' --id a-lowlat {\n\t\tload_video\n"),
            "{}",
            once.text
        );
        let linux = "\t\tlinux\t/boot/vmlinuz-6.12.95+deb12-amd64 root=/dev/vda1 ro quiet isolcpus=1 skew_tick=1\n";
        assert!(once.text.contains(linux), "{}", once.text);
        assert!(once.text.ends_with("\t\tinitrd\t/boot/initrd.img-6.12.95+deb12-amd64\n}\n"), "{}", once.text);
    }

    #[test]
    fn an_entry_of_the_specification_is_copied_behind_the_others() {
        let entries = |dir: &str| {
            host()
                .file(
                    &format!("{dir}/11-0-rescue.conf"),
                    &ENTRY.replace("Fedora Linux 41", "Fedora Linux (0-rescue-11)"),
                )
                .file(&format!("{dir}/11-6.1.0.conf"), "title old\nversion 6.1.0\nlinux /vmlinuz-6.1.0\noptions ro\n")
                .file(&format!("{dir}/11-6.12.conf"), ENTRY)
        };
        let once =
            asked(&entries("/boot/loader/entries").file("/boot/grub2/grub.cfg", "insmod blscfg\nblscfg\n")).unwrap();
        assert_eq!((once.path, once.command.as_str()), ("/boot/loader/entries/a-lowlat.conf", "grub2-reboot a-lowlat"));
        for line in [
            "title Fedora Linux 41 (lowlat, once)\n",
            "options root=UUID=1 ro $tuned_params isolcpus=1 skew_tick=1\n",
            "sort-key zz-lowlat\n",
            "initrd /initramfs-6.12.95.img\n",
        ] {
            assert!(once.text.contains(line), "{line}: {}", once.text);
        }
        let once = asked(&entries("/efi/loader/entries")).unwrap();
        assert_eq!(
            (once.path, once.command.as_str()),
            ("/efi/loader/entries/a-lowlat.conf", "bootctl set-oneshot a-lowlat.conf")
        );
        // Ours is not copied again.
        let once_more =
            asked(&entries("/efi/loader/entries").file("/efi/loader/entries/a-lowlat.conf", &once.text)).unwrap();
        assert_eq!(once_more.text, once.text);
    }

    #[test]
    fn an_entry_without_options_gets_some_and_the_last_of_several_the_words() {
        let words = ["a=1".to_owned()];
        assert!(copied("linux /x\n", &words).ends_with("linux /x\noptions a=1\n"));
        assert!(copied("options x\noptions y\n", &words).ends_with("options x\noptions y a=1\n"));
    }

    #[test]
    fn where_no_entry_starts_the_running_kernel_it_is_said() {
        let why = |sys: FakeSys| asked(&sys).unwrap_err();
        assert!(why(host()).contains("neither a menu of GRUB nor"));
        assert!(
            why(host().file("/boot/grub/grub.cfg", "menuentry 'a' {\n\tlinux /vmlinuz-5\n}\n")).contains("no entry of")
        );
        assert!(why(host().file("/boot/grub/grub.cfg", &MENU.replace("custom.cfg", "x"))).contains("does not read"));
    }
}
