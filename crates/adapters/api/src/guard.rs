//! May this request come in at all, before anybody asks whose it is?

use crate::ApiError;
use crate::access::Admission;
use std::net::IpAddr;
use warp::filters::BoxedFilter;
use warp::host::Authority;
use warp::http::header::{HOST, HeaderMap, ORIGIN};
use warp::http::{HeaderValue, Method, Uri};
use warp::{Filter as _, reject};

/// Rejects requests that no caller of ours makes with an [`ApiError`]. Where everybody is let in, the `Host` must be
/// loopback: a page that reaches us by a DNS name of its own would be let in as well. Where callers show a token, any host
/// will do, for a page has none to show; a page of another site is refused all the same, since some routes want no token.
pub(crate) fn filter(admission: &Admission) -> BoxedFilter<()> {
    let is_open = matches!(admission, Admission::Everyone);
    warp::method()
        .and(warp::host::optional())
        .and(warp::header::headers_cloned())
        .and_then(move |method: Method, authority: Option<Authority>, headers: HeaderMap| async move {
            check(is_open, &method, authority.as_ref(), &headers).map_err(reject::custom)
        })
        .untuple_one()
        .boxed()
}

fn check(
    is_open: bool,
    method: &Method,
    authority: Option<&Authority>,
    headers: &HeaderMap,
) -> Result<(), ApiError> {
    // Its target has no path, on which warp's `path::full` panics.
    if method == Method::CONNECT {
        return Err(ApiError::wrong_method("this is no proxy: CONNECT is not answered"));
    }
    if headers.get_all(HOST).iter().count() > 1 {
        return Err(ApiError::invalid("the request has several Host headers"));
    }
    // A page at evil.example whose name now resolves to 127.0.0.1 still sends `Host: evil.example` (DNS rebinding).
    if is_open && !authority.is_some_and(|authority| is_loopback(authority.host())) {
        return Err(ApiError::permission_denied(
            "without authentication only requests to localhost are answered: use http://localhost, 127.0.0.1 or [::1]",
        ));
    }
    // Browsers send Origin with every request that another site's page makes and that is more than a plain GET.
    let is_ours = |origin: &HeaderValue| {
        if is_open { is_local_origin(origin) } else { is_same_origin(origin, authority) }
    };
    if !headers.get_all(ORIGIN).iter().all(is_ours) {
        return Err(ApiError::permission_denied("requests made by web pages of other sites are refused"));
    }
    Ok(())
}

/// An address counts as well as the name, since only names can be made to point elsewhere.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// `null`, which sandboxed pages send, is nobody's and refused.
fn is_local_origin(origin: &HeaderValue) -> bool {
    let uri = origin.to_str().ok().and_then(|text| text.parse::<Uri>().ok());
    uri.is_some_and(|uri| uri.scheme().is_some() && uri.host().is_some_and(is_loopback))
}

/// Returns whether a page came from the host and port that the request is for.
fn is_same_origin(origin: &HeaderValue, authority: Option<&Authority>) -> bool {
    let uri = origin.to_str().ok().and_then(|text| text.parse::<Uri>().ok());
    let own = uri.as_ref().and_then(Uri::authority).map(Authority::as_str);
    own.is_some_and(|own| authority.is_some_and(|asked| own.eq_ignore_ascii_case(asked.as_str())))
}
