//! A plan for hosts without lowlat: a shell script, an Ansible playbook, a tuned profile. Text alone; nothing is run.

mod ansible;
mod sh;
mod tuned;

use lowlat_model::{Locus, Op, Plan, State};
use lowlat_settings::at;

/// What a plan is exported as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// A script for any POSIX shell that applies, checks and undoes.
    Sh,
    /// A playbook that runs that script; needs nothing but ansible-core.
    Ansible,
    /// `tuned.conf` of a profile; tuned puts back on its own what it set.
    Tuned,
}

/// An exported plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The whole file.
    pub text: String,
    /// What is not in it, and why: one line each.
    pub left_out: Vec<String>,
    /// How many settings are in it.
    pub steps: usize,
}

/// The plan as a file of that format.
pub fn export(plan: &Plan, format: ExportFormat) -> Export {
    match format {
        ExportFormat::Sh => sh::export(plan),
        ExportFormat::Ansible => ansible::export(plan),
        ExportFormat::Tuned => tuned::export(plan),
    }
}

/// One write of a plan.
struct Item<'a> {
    /// For people: `steer.rps on eth0/rx-0: 1 -> 0`.
    title: String,
    op: &'a Op,
    prior: &'a State,
}

/// The writes in order, and those that no tool but lowlat makes or undoes.
fn items(plan: &Plan) -> (Vec<Item<'_>>, Vec<String>) {
    let (mut items, mut left_out) = (Vec::new(), Vec::new());
    for step in &plan.steps {
        if step.ops.is_empty() {
            left_out.push(format!("{} on {}: {}", step.knob, step.target, why_no_shell(None)));
        }
        for ((knob, target, op), prior) in step.owned_ops().zip(&step.prior) {
            let kind = at(&op.locus);
            if kind.is_held() || !kind.undone_by_shell() || kind.outlives_boot() {
                left_out.push(format!("{knob} on {target}: {}", why_no_shell(Some(&op.locus))));
                continue;
            }
            items.push(Item {
                title: format!("{knob} on {target}: {}: {prior} -> {}", kind.words(), op.set),
                op,
                prior,
            });
        }
    }
    (items, left_out)
}

fn why_no_shell(locus: Option<&Locus>) -> &'static str {
    match locus {
        Some(l) if at(l).outlives_boot() => "it is a file of the boot; `lowlat apply` writes it",
        Some(l) if !at(l).undone_by_shell() => "no tool but lowlat puts it back",
        _ => "a process of lowlat holds it; `lowlat apply` starts that",
    }
}
