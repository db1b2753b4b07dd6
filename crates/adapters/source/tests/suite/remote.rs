//! Are repositories on servers read, and what do their errors say?

use crate::support::server::Server;
use crate::support::{Place, at, read};

#[tokio::test]
async fn fetches_over_http() {
    let place = Place::new();
    let repo = place.repo("app.git");
    repo.commit("main", &[("a.yaml", "1")]);
    let server = Server::start(&place.folder.path().join("repos"));
    let source = at(&server.url("open/app.git"));
    assert_eq!(read(&place.sources, &source, "main", "").await, "a.yaml: 1");
    repo.commit("main", &[("a.yaml", "2")]);
    assert_eq!(read(&place.sources, &source, "", "").await, "a.yaml: 2");
}
