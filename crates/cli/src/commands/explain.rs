//! `lowlat explain`: the reference pages, in the terminal.

use lowlat_model::Schema;
use lowlat_model::answer::{ExplainDocument, Names};

use crate::args::ExplainArgs;
use crate::output;
use lowlat_live::{Failure, Outcome};

/// Runs the command.
pub fn run(args: &ExplainArgs, json: bool) -> Outcome {
    let mut document = ExplainDocument {
        schema: Schema::current("explain"),
        name: None,
        page: None,
        names: Vec::new(),
        found: Vec::new(),
    };
    if !args.search.is_empty() {
        document.found = lowlat_reference::search(&args.search.join(" ")).map_err(no_page)?;
        if !json {
            output::text(&lowlat_reference::search_list(&document.found));
        }
    } else if let Some(name) = &args.name {
        let page = lowlat_reference::page(name).map_err(no_page)?;
        if !json {
            output::page(&lowlat_report::terminal(&page, output::styled()));
        }
        (document.name, document.page) = (Some(name.clone()), Some(page));
    } else if json {
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        document.names = lowlat_reference::all()
            .map(|(group, names)| Names { group: group.to_owned(), names: owned(names) })
            .to_vec();
    } else {
        output::text(&lowlat_reference::list());
    }
    if json {
        output::json(&document)?;
    }
    Ok(0)
}

#[allow(clippy::needless_pass_by_value)] // for map_err
fn no_page(e: lowlat_reference::NoPage) -> Failure {
    Failure::new(e.to_string())
}
