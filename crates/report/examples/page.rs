//! Prints the sample run as a page, to be looked at: `cargo run -p lowlat-report --example page > page.html`.

#![allow(clippy::print_stdout)] // an example has nowhere else to print

fn main() {
    print!("{}", lowlat_report::html(&lowlat_testkit::run::document()));
}
