//! What does a Service answer? The API server passes the request on ("Manually constructing apiserver proxy URLs" in the Kubernetes
//! documentation), so that its rules say who may be reached, and nothing is connected to but the API server.
//!
//! Whoever answers may write what it likes: its words hold nothing else up, however much they sound like the API server's.

use crate::call::{Call, Verb};
use crate::classify::Status;
use crate::endpoint::with_query;
use crate::gate::Priority;
use crate::{Cluster, Endpoint};
use futures::StreamExt as _;
use http::Method;
use http_body_util::BodyExt as _;
use model::{Relayed, Scheme, Seconds};
use std::time::Duration;
use tokio::time::Instant;

/// How much of an answer is read, in bytes.
const LONGEST: usize = 1 << 20;

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// The Service's namespace.
    pub namespace: String,
    /// Its name.
    pub service: String,
    /// Number or name of the port.
    pub port: String,
    /// What is spoken there.
    pub scheme: Scheme,
}

impl Cluster {
    /// Sends a GET for a path to a Service, and waits for the answer for `wait`.
    pub async fn ask_service(
        &self,
        to: &ServicePort,
        path: &str,
        query: &[(&str, &str)],
        wait: Duration,
    ) -> Relayed {
        let services = Endpoint::new("v1", "Service", "services", true);
        let scheme = match to.scheme {
            Scheme::Http => "",
            Scheme::Https => "https:",
        };
        match services.object(&to.namespace, &format!("{scheme}{}:{}", to.service, to.port)) {
            Ok(object) => {
                let url = with_query(&format!("{object}/proxy{path}"), query);
                self.relayed(Call::new(Verb::Proxy, &services, Method::GET, url), wait).await
            }
            Err(error) => Relayed::Failed(error.message),
        }
    }

    /// Asks the API server for its version, which everybody may: how soon that is answered tells how soon anything can be.
    pub async fn ask_itself(&self, wait: Duration) -> Relayed {
        let nothing = Endpoint::new("v1", "", "", false);
        self.relayed(Call::new(Verb::Discover, &nothing, Method::GET, "/version".into()), wait).await
    }

    async fn relayed(&self, mut call: Call, wait: Duration) -> Relayed {
        call.accept = "*/*";
        self.inner.pauses.wait(&call.kind.group).await;
        let _place = self.inner.gate.enter(self.party(&call.kind), Priority::Background).await;
        let begun = Instant::now();
        match tokio::time::timeout(wait, self.exchange(call)).await {
            Err(_) => Relayed::Silence,
            Ok(Err(why)) => Relayed::Failed(why),
            Ok(Ok((status, body))) => {
                let said = (status >= 400).then(|| serde_json::from_slice::<Status>(&body).ok()).flatten();
                match said.filter(|said| said.kind == "Status") {
                    Some(said) => Relayed::Refused { status, message: said.message },
                    None => Relayed::Answer { status, body, took: seconds(begun.elapsed()) },
                }
            }
        }
    }

    /// Sends a request and takes the answer, as far as it is read, whatever its status.
    async fn exchange(&self, call: Call) -> Result<(u16, Vec<u8>), String> {
        let response = self.send(call).await.map_err(|error| error.message)?;
        let status = response.status().as_u16();
        let mut chunks = response.into_body().into_data_stream();
        let mut body = Vec::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| "the connection broke in the middle of the answer")?;
            body.extend_from_slice(&chunk[..chunk.len().min(LONGEST - body.len())]);
            if body.len() == LONGEST {
                break;
            }
        }
        Ok((status, body))
    }
}

fn seconds(length: Duration) -> Seconds {
    Seconds::from_millis(i64::try_from(length.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Reply, Then, cluster};
    use serde_json::json;

    const WAIT: Duration = Duration::from_secs(2);

    fn web(scheme: Scheme) -> ServicePort {
        ServicePort { namespace: "shop".into(), service: "web".into(), port: "80".into(), scheme }
    }

    fn answer(status: u16, body: &str) -> Relayed {
        Relayed::Answer { status, body: body.into(), took: Seconds::ZERO }
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_is_asked_through_the_api_server_whatever_it_answers() {
        let script = vec![
            Reply::Full(200, "fine".into()),
            Reply::Full(503, "busy".into()),
            Reply::Header(302, "location", "/login", String::new()),
            Reply::Full(200, "{}".into()),
        ];
        let (cluster, asked) = cluster(script);
        let plain = web(Scheme::Http);
        assert_eq!(cluster.ask_service(&plain, "/healthz?full=1", &[], WAIT).await, answer(200, "fine"));
        let query = [("query", "sum(rate(x[1m]))"), ("time", "1.5")];
        assert_eq!(cluster.ask_service(&plain, "/q", &query, WAIT).await, answer(503, "busy"));
        assert_eq!(cluster.ask_service(&web(Scheme::Https), "/", &[], WAIT).await, answer(302, ""));
        assert_eq!(cluster.ask_itself(WAIT).await, answer(200, "{}"));
        let base = "GET /api/v1/namespaces/shop/services";
        assert_eq!(
            *asked.lock().unwrap(),
            [
                format!("{base}/web:80/proxy/healthz?full=1"),
                format!("{base}/web:80/proxy/q?query=sum%28rate%28x%5B1m%5D%29%29&time=1.5"),
                format!("{base}/https:web:80/proxy/"),
                "GET /version".to_owned(),
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_api_servers_own_refusals_are_told_from_answers_and_hold_nothing_else_up() {
        let status = json!({"kind": "Status", "message": "later", "details": {"retryAfterSeconds": 30}});
        let script = vec![
            Reply::Header(429, "retry-after", "30", status.to_string()),
            Reply::Header(429, "retry-after", "30", "slow down".into()),
            Reply::Full(200, status.to_string()),
        ];
        let (cluster, _) = cluster(script);
        let (begun, limit) = (Instant::now(), cluster.in_flight_limit());
        let refused = Relayed::Refused { status: 429, message: "later".into() };
        assert_eq!(cluster.ask_service(&web(Scheme::Http), "/", &[], WAIT).await, refused);
        assert_eq!(cluster.ask_service(&web(Scheme::Http), "/", &[], WAIT).await, answer(429, "slow down"));
        let fine = cluster.ask_service(&web(Scheme::Http), "/", &[], WAIT).await;
        assert_eq!(fine, answer(200, &status.to_string()), "what succeeds is no refusal");
        assert_eq!((begun.elapsed(), cluster.in_flight_limit()), (Duration::ZERO, limit));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_come_breaks_or_never_ends_is_given_up() {
        let endless = vec![vec![b'x'; LONGEST / 2]; 3];
        let script = vec![
            Reply::Silence,
            Reply::Chunks(vec![b"half".to_vec()], Then::Silence),
            Reply::Chunks(vec![b"half".to_vec()], Then::Break),
            Reply::Chunks(endless, Then::Silence),
        ];
        let (cluster, _) = cluster(script);
        let begun = Instant::now();
        let ask = async || cluster.ask_service(&web(Scheme::Http), "/", &[], WAIT).await;
        assert_eq!((ask().await, ask().await), (Relayed::Silence, Relayed::Silence));
        assert_eq!(begun.elapsed(), 2 * WAIT);
        let broke = "the connection broke in the middle of the answer";
        assert_eq!(ask().await, Relayed::Failed(broke.into()));
        assert_eq!(ask().await, answer(200, &"x".repeat(LONGEST)));
        let Relayed::Failed(why) = ask().await else { panic!("nobody is there any more") };
        assert!(why.starts_with("failed to reach http://fake"), "{why}");
    }

    #[tokio::test]
    async fn a_name_leads_to_no_other_url() {
        let (cluster, asked) = cluster(Vec::new());
        for (namespace, service) in [("", "web"), ("..", "web"), ("a/b", "web"), ("shop", "a/b")] {
            let to =
                ServicePort { namespace: namespace.into(), service: service.into(), ..web(Scheme::Http) };
            assert!(matches!(cluster.ask_service(&to, "/", &[], WAIT).await, Relayed::Failed(_)));
        }
        assert!(asked.lock().unwrap().is_empty());
    }
}
