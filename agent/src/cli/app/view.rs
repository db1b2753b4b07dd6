//! Which columns do Applications have?

use crate::cli::output::Output;
use crate::cli::table::Table;
use crate::facts::{Facts, short};
use serde_json::Value;

/// Which columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    /// Whether the namespace comes first.
    pub with_namespace: bool,
    /// Whether there are more at the end.
    pub is_wide: bool,
}

impl Columns {
    /// Returns an empty table.
    pub(crate) fn table(self) -> Table {
        let mut headers = Vec::new();
        headers.extend(self.with_namespace.then_some("NAMESPACE"));
        headers.extend(["NAME", "SYNC", "HEALTH", "REVISION", "LAST SYNC"]);
        if self.is_wide {
            headers.extend(["PROJECT", "REPO", "PATH", "TARGET", "DESTINATION", "MESSAGE"]);
        }
        Table::new(&headers)
    }

    /// Returns the cells of an Application.
    pub(crate) fn row(self, app: &Value) -> Vec<String> {
        let facts = Facts(app);
        let mut row = Vec::new();
        row.extend(self.with_namespace.then(|| facts.namespace().to_owned()));
        let [name, sync, health, phase] =
            [facts.name(), facts.sync(), facts.health(), facts.phase()].map(str::to_owned);
        row.extend([name, sync, health, short(facts.revision()), phase]);
        if self.is_wide {
            let [project, path, target] =
                [facts.project(), facts.text("/spec/source/path"), facts.target()].map(str::to_owned);
            row.extend([project, facts.repository(), path, target, facts.destination(), facts.message()]);
        }
        row
    }
}

/// Returns the name of an Application as kubectl prints names.
pub(crate) fn name(app: &Value) -> String {
    format!("application.argoproj.io/{}\n", model::printable(Facts(app).name()))
}

/// Returns an Application as it is printed by itself, for what is no table.
pub(crate) fn document(app: &Value, output: Output) -> String {
    match output {
        Output::Json => crate::cli::output::json(app),
        Output::Yaml => manifest::to_yaml(app),
        Output::Name | Output::Table | Output::Wide => name(app),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::paint::Paint;
    use serde_json::json;

    fn shop() -> Value {
        json!({
            "metadata": {"name": "shop", "namespace": "argocd"},
            "spec": {"source": {"repoURL": "https://git.ex/shop.git", "path": "deploy"},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": "shop"}},
            "status": {"sync": {"status": "Synced", "revision": "e062505269aeaf62c7e2b9fd3f2af285cdfb809d"},
                "health": {"status": "Healthy"}, "operationState": {"phase": "Succeeded"}},
        })
    }

    fn printed(columns: Columns, apps: &[Value]) -> String {
        let mut table = columns.table();
        for app in apps {
            table.push(&columns.row(app));
        }
        table.text(Paint::Plain)
    }

    #[test]
    fn a_table_of_applications() {
        let columns = Columns { with_namespace: false, is_wide: false };
        let new = json!({"metadata": {"name": "just-made"}});
        assert_eq!(
            printed(columns, &[shop(), new]),
            "NAME        SYNC      HEALTH    REVISION   LAST SYNC\n\
             shop        Synced    Healthy   e062505    Succeeded\n\
             just-made   Unknown   Unknown   -\n"
        );
    }

    #[test]
    fn a_wide_one_of_all_namespaces() {
        let columns = Columns { with_namespace: true, is_wide: true };
        assert_eq!(
            printed(columns, &[shop()]),
            "NAMESPACE   NAME   SYNC     HEALTH    REVISION   LAST SYNC   PROJECT   REPO                      \
             PATH     TARGET   DESTINATION       MESSAGE\n\
             argocd      shop   Synced   Healthy   e062505    Succeeded   default   https://git.ex/shop.git   \
             deploy   HEAD     in-cluster/shop\n"
        );
        assert_eq!(name(&shop()), "application.argoproj.io/shop\n");
    }
}
