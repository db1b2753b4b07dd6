//! May this request come in at all, while there is no authentication?

use crate::ApiError;
use std::net::IpAddr;
use warp::filters::BoxedFilter;
use warp::host::Authority;
use warp::http::header::{HOST, HeaderMap, ORIGIN};
use warp::http::{HeaderValue, Method, Uri};
use warp::{Filter as _, reject};

/// Lets requests in that name a loopback host and do not come from a page elsewhere; rejects the others with an
/// [`ApiError`].
pub(crate) fn filter() -> BoxedFilter<()> {
    warp::method()
        .and(warp::host::optional())
        .and(warp::header::headers_cloned())
        .and_then(|method: Method, authority: Option<Authority>, headers: HeaderMap| async move {
            check(&method, authority.as_ref(), &headers).map_err(reject::custom)
        })
        .untuple_one()
        .boxed()
}

fn check(method: &Method, authority: Option<&Authority>, headers: &HeaderMap) -> Result<(), ApiError> {
    // Its target has no path, on which warp's `path::full` panics.
    if method == Method::CONNECT {
        return Err(ApiError::wrong_method("this is no proxy: CONNECT is not answered"));
    }
    if headers.get_all(HOST).iter().count() > 1 {
        return Err(ApiError::invalid("the request has several Host headers"));
    }
    // A page at evil.example whose name now resolves to 127.0.0.1 still sends `Host: evil.example` (DNS rebinding).
    if !authority.is_some_and(|authority| is_loopback(authority.host())) {
        return Err(ApiError::permission_denied(
            "without authentication only requests to localhost are answered: use http://localhost, 127.0.0.1 or [::1]",
        ));
    }
    // Browsers send Origin with every request that another site's page makes and that is more than a plain GET.
    if headers.get_all(ORIGIN).iter().any(|origin| !is_local_origin(origin)) {
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
