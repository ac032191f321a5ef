//! Whose web pages may talk to the node (CORS). Browsers say where a page is from, and ask before they let it; whoever is no
//! browser says nothing and is not meant.

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderValue, ORIGIN, VARY,
};
use hyper::{HeaderMap, StatusCode};
use jsonrpsee::server::{HttpBody, HttpResponse};

use super::http::RATE_LIMIT;
use crate::config::Origins;

/// What is said of an origin that may talk; nothing if none was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allowed(Option<HeaderValue>);

impl Origins {
    /// # Errors
    /// If the request comes from a page that may not talk to the node.
    #[allow(clippy::result_large_err, reason = "whoever asks gives the answer on as it is")]
    pub(crate) fn allow(&self, headers: &HeaderMap) -> Result<Allowed, HttpResponse> {
        let Some(origin) = headers.get(ORIGIN) else { return Ok(Allowed(None)) };
        match self {
            Self::All => Ok(Allowed(Some(HeaderValue::from_static("*")))),
            Self::Listed(origins) if origins.iter().any(|listed| listed.as_bytes() == origin.as_bytes()) => {
                Ok(Allowed(Some(origin.clone())))
            }
            Self::Listed(_) => {
                let why = "this node does not talk to pages of that origin; its operator lists those that it does";
                Err(super::http::refused(StatusCode::FORBIDDEN, why))
            }
        }
    }
}

impl Allowed {
    /// Lets the page read a response.
    pub(crate) fn read(self, mut response: HttpResponse) -> HttpResponse {
        if let Self(Some(origin)) = self {
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(RATE_LIMIT));
            headers.insert(VARY, HeaderValue::from_static("origin"));
        }
        response
    }

    /// The answer to a browser that asks what a page may send.
    pub(crate) fn preflight(self) -> HttpResponse {
        let mut response = HttpResponse::new(HttpBody::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("content-type"));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
        self.read(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(origins: &Origins, origin: Option<&str>) -> Result<Option<String>, StatusCode> {
        let mut headers = HeaderMap::new();
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        let text = |value: HeaderValue| value.to_str().unwrap().to_owned();
        origins.allow(&headers).map(|allowed| allowed.0.map(text)).map_err(|refused| refused.status())
    }

    #[test]
    fn pages_of_origins_that_are_not_listed_are_refused_and_programs_are_not() {
        let listed = Origins::Listed(vec!["https://app.example".into()]);
        assert_eq!(allowed(&listed, None), Ok(None));
        assert_eq!(allowed(&listed, Some("https://app.example")), Ok(Some("https://app.example".into())));
        for other in ["https://app.example.evil", "http://app.example", "null"] {
            assert_eq!(allowed(&listed, Some(other)), Err(StatusCode::FORBIDDEN), "{other}");
        }
        assert_eq!(allowed(&Origins::All, Some("null")), Ok(Some("*".into())));
    }
}
