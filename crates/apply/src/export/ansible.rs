//! The playbook: the script over standard input, so that nothing is left on the host but its record.

use std::fmt::Write as _;

use lowlat_model::Plan;

use super::{Export, sh};

pub(super) fn export(plan: &Plan) -> Export {
    let Export { text: script, left_out, steps } = sh::export(plan);
    let mut text = HEAD.to_owned();
    for line in script.lines().filter(|l| l.starts_with("# Not in it: ")) {
        let _ = writeln!(text, "{line}");
    }
    let _ = write!(text, "{PLAY}{}{TASKS}", scalar(&script));
    Export { text, left_out, steps }
}

/// The script as a value that neither YAML nor Jinja looks into: `!unsafe` is Ansible's word for that. A literal block
/// (YAML 1.2.2, 8.1.2) takes printable text; any other goes as a quoted one, of which JSON's strings are a subset.
fn scalar(script: &str) -> String {
    if script.chars().any(|c| c != '\n' && (c.is_control() || c == '\u{feff}' || c == '\u{2028}' || c == '\u{2029}')) {
        let quoted = serde_json::Value::String(script.to_owned()).to_string().replace('\u{7f}', "\\u007f");
        return format!(" !unsafe {quoted}\n");
    }
    let lines: String = script.lines().fold(String::new(), |mut out, line| {
        if !line.is_empty() {
            out.push_str("      ");
        }
        out.push_str(line);
        out.push('\n');
        out
    });
    format!(" !unsafe |\n{lines}")
}

const HEAD: &str = "---
# Sets what a plan of lowlat sets, on the host that it was made for, without lowlat:
#   ansible-playbook -i HOST, FILE              sets all; where one write fails, all goes back
#   ansible-playbook -i HOST, FILE --check      changes nothing; says whether something would be set
#   ansible-playbook -i HOST, FILE --tags undo  puts back; what something else has changed since is left alone, and fails
";

const PLAY: &str = "- name: Apply a plan of lowlat
  hosts: all
  become: true
  gather_facts: false
  vars:
    lowlat_plan:";

const TASKS: &str = r#"  tasks:
    - name: See whether all is set
      ansible.builtin.command:
        argv: [/bin/sh, -s, check]
        stdin: "{{ lowlat_plan }}"
      check_mode: false
      register: lowlat_seen
      changed_when: lowlat_seen.rc == 1
      failed_when: lowlat_seen.rc not in [0, 1]

    - name: Set all
      ansible.builtin.command:
        argv: [/bin/sh, -s, apply]
        stdin: "{{ lowlat_plan }}"
      when: lowlat_seen.rc == 1
      changed_when: true

    - name: Put back what was there
      ansible.builtin.command:
        argv: [/bin/sh, -s, undo]
        stdin: "{{ lowlat_plan }}"
      tags: [never, undo]
      changed_when: true
"#;
