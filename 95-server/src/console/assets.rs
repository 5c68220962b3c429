//! Styles, scripts and pictures, within the program.

use super::given::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::LazyLock;
use writ_seal::sha256;

struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

const ASSETS: [Asset; 5] = [
    Asset { name: "writ.css", kind: "text/css; charset=utf-8", text: include_str!("../../assets/writ.css") },
    Asset { name: "writ.js", kind: "text/javascript; charset=utf-8", text: include_str!("../../assets/writ.js") },
    Asset { name: "proof.js", kind: "text/javascript; charset=utf-8", text: include_str!("../../assets/proof.js") },
    Asset {
        name: "htmx.js",
        kind: "text/javascript; charset=utf-8",
        text: include_str!("../../assets/vendor/htmx.min.js"),
    },
    Asset { name: "icon.svg", kind: "image/svg+xml", text: include_str!("../../assets/icon.svg") },
];

/// What a page says behind an asset's name: it changes with the asset, so that a browser may keep what it has for ever.
pub(crate) static STAMP: LazyLock<String> = LazyLock::new(|| {
    let all: String = ASSETS.iter().map(|asset| asset.text).collect();
    sha256(all.as_bytes()).hex().chars().take(12).collect()
});

/// One asset.
pub(crate) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = format!("\"{}\"", *STAMP);
    if headers.get(header::IF_NONE_MATCH).is_some_and(|seen| seen.as_bytes() == tag.as_bytes()) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let kept = "public, max-age=31536000, immutable";
    let headers = [
        (header::CONTENT_TYPE, asset.kind.to_owned()),
        (header::CACHE_CONTROL, kept.to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::ETAG, tag),
    ];
    (headers, asset.text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_vendored_is_what_was_vendored() {
        let told = include_str!("../../assets/vendor/VENDORED.md");
        let digest = sha256(include_bytes!("../../assets/vendor/htmx.min.js")).hex();
        assert!(told.contains(&digest), "htmx.min.js is {digest}");
    }
}
