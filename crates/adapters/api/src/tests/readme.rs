//! Does the README say of each route what its row says?

use crate::{Access, ROUTES};
use std::collections::BTreeSet;

/// Routes of the README's table, each as `METHOD path needs`.
fn documented() -> BTreeSet<String> {
    let text = include_str!("../../../../../README.md");
    let rows = text.lines().skip_while(|line| *line != "| Request | Needs | Answer |").skip(2);
    let rows = rows.map_while(|line| line.strip_prefix("| ")).map(|line| {
        let mut cells = line.split('|').map(|cell| cell.trim().trim_matches('`'));
        format!("{} {}", cells.next().unwrap(), cells.next().unwrap())
    });
    rows.collect()
}

#[test]
fn the_table_of_requests_is_the_table_of_routes() {
    let known = ROUTES.iter().map(|route| {
        let needs = match route.access {
            Access::Anyone => "",
            Access::List => "list",
            Access::App(verb) => verb.as_str(),
        };
        format!("{} {} {needs}", route.method, route.path)
    });
    assert_eq!(documented(), known.collect(), "requests in the README, and routes");
}
