//! The pages as browsers, caches and programs meet them.

use access::Switch;
use axum::{
    body::to_bytes,
    http::{HeaderMap, HeaderName, Method, StatusCode, header},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use ring::digest::{SHA256, digest};
use tokio_util::sync::CancellationToken;

use super::{Front, HERE, LimitArgs, TOKEN, alone, build_with, request};
use crate::config::{Browse, OnPaymentFailure, Origins, Policy};

async fn get(
    front: &Front,
    path: &str,
    name: HeaderName,
    value: &'static str,
) -> (StatusCode, HeaderMap, Vec<u8>) {
    let mut request = request(Method::GET, path, "");
    request.headers_mut().insert(name, value.parse().unwrap());
    let (parts, body) = front.clone().answer(HERE, request).await.into_parts();
    (parts.status, parts.headers, to_bytes(body, usize::MAX).await.unwrap().to_vec())
}

#[tokio::test]
async fn every_page_is_the_document_in_the_language_of_who_asks_also_when_nothing_behind_it_answers() {
    let (front, _folder) = alone(Browse::Token, "").await;
    for path in ["/", "/me", "/shows/1", &format!("/line/{TOKEN}"), "/line/x", "/operator", "/operator/find"]
    {
        let (status, headers, body) = get(&front, path, header::ACCEPT_LANGUAGE, "ko,en;q=0.5").await;
        let page = String::from_utf8(body).unwrap();
        assert_eq!((status, &headers[header::CACHE_CONTROL]), (StatusCode::OK, &"no-cache".parse().unwrap()));
        assert!(page.contains("<html lang=\"ko\" data-claim=\"\" data-roles=\"\">"), "{path}: {page}");
        let is_left = |name: &&str| page.contains(&format!("{{{name}}}"));
        let names = ["title", "links", "version", "begin", "head", "menu", "main", "footer", "known"];
        assert_eq!(names.iter().find(|name| is_left(name)), None, "{path}: nothing is left to fill in");
        // A place that cannot be read now is looked at again, also without a module.
        assert_eq!(page.contains("http-equiv=\"refresh\" content=\"5\""), path.ends_with(TOKEN), "{path}");
    }
}

#[tokio::test]
async fn the_manual_is_a_page_with_a_section_for_each_alert() {
    let (front, _folder) = alone(Browse::Token, "").await;
    for (path, part) in [("/manual", "id=\"boxofficefailing\""), ("/manual/draw", "id=\"the-beacon\"")] {
        let (status, headers, body) = get(&front, path, header::ACCEPT, "text/html").await;
        let page = String::from_utf8(body).unwrap();
        assert_eq!(
            (status, headers[header::CONTENT_TYPE].as_bytes()),
            (StatusCode::OK, &b"text/html; charset=utf-8"[..])
        );
        assert!(page.contains(part) && !page.contains("<script"), "{path}: {page}");
        // What it loads is there.
        for sheet in page.split("rel=\"stylesheet\" href=\"").skip(1) {
            let sheet = sheet.split('"').next().unwrap();
            assert_eq!(get(&front, sheet, header::ACCEPT, "text/css").await.0, StatusCode::OK, "{sheet}");
        }
    }
}

#[tokio::test]
async fn what_the_document_loads_is_kept_for_good_and_sent_compressed() {
    let (front, _folder) = alone(Browse::Token, "").await;
    let mut page = String::new();
    for path in ["/", "/operator"] {
        page += &String::from_utf8(get(&front, path, header::ACCEPT, "text/html").await.2).unwrap();
    }
    let parts: Vec<_> = page.split("\"/assets/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(parts.iter().any(|part| part.ends_with("/style.css")) && parts.len() > 10, "{page}");
    for part in parts {
        let path = format!("/assets/{part}");
        let (status, headers, zipped) = get(&front, &path, header::ACCEPT_ENCODING, "gzip, br;q=0.9").await;
        assert_eq!(
            (status, headers[header::CONTENT_ENCODING].as_bytes()),
            (StatusCode::OK, &b"gzip"[..]),
            "{path}"
        );
        assert_eq!(headers[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
        let kind = if path.ends_with(".css") { "text/css" } else { "text/javascript" };
        assert!(headers[header::CONTENT_TYPE].to_str().unwrap().starts_with(kind), "{path}");
        let (_, headers, plain) = get(&front, &path, header::ACCEPT_ENCODING, "identity").await;
        assert!(headers.get(header::CONTENT_ENCODING).is_none() && plain.len() > zipped.len(), "{path}");
    }
    // A replica of another release is asked for its parts while a new one is rolled out.
    let (status, headers, _) = get(&front, "/assets/0/main.js", header::ACCEPT, "*/*").await;
    assert_eq!((status, headers[header::CACHE_CONTROL].as_bytes()), (StatusCode::OK, &b"no-store"[..]));
    let (status, ..) = get(&front, "/assets/0/types.d.ts", header::ACCEPT, "*/*").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_style_that_stands_in_a_page_is_the_one_that_its_policy_names() {
    let (front, _folder) = alone(Browse::Token, "").await;
    for path in ["/", "/shows/1", "/line/x"] {
        let (_, headers, page) = get(&front, path, header::ACCEPT, "text/html").await;
        let page = String::from_utf8(page).unwrap();
        let (_, style) = page.split_once("<style>").unwrap();
        let (style, rest) = style.split_once("</style>").unwrap();
        assert!(!rest.contains("<style") && !page.contains("rel=\"stylesheet\""), "{path}: one sheet");
        let hash = STANDARD.encode(digest(&SHA256, style.as_bytes()));
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains(&format!("'sha256-{hash}'")), "{path}: {policy}");
    }
}

#[tokio::test]
async fn no_page_from_elsewhere_sends_the_form_of_a_show() {
    let (front, _folder) = alone(Browse::Token, "").await;
    for (origin, refused) in [("http://x", false), ("http://elsewhere", true), ("null", true)] {
        let mut request = request(Method::POST, "/shows/1?user=guest-abcdefgh", "");
        request.headers_mut().insert(header::ORIGIN, origin.parse().unwrap());
        let answer = front.clone().answer(HERE, request).await;
        assert_eq!(answer.status() == StatusCode::FORBIDDEN, refused, "{origin}: {}", answer.status());
    }
}

#[tokio::test]
async fn a_program_that_asks_for_json_gets_the_addresses() {
    let (front, _folder) = alone(Browse::Token, "").await;
    let (status, headers, body) = get(&front, "/", header::ACCEPT, "application/json").await;
    let links: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (status, &links["concerts"], &links["docs"]),
        (StatusCode::OK, &"/v1/concerts".into(), &"/docs/".into())
    );
    assert_eq!(headers[header::VARY], "accept");
}

#[tokio::test]
async fn where_the_pages_are_off_the_first_address_leads_to_the_api_page() {
    let policy = Policy {
        browse: Browse::Token,
        on_payment_failure: OnPaymentFailure::Release,
        telling: Default::default(),
        cors_origins: Origins::None,
        pages: Switch(false),
        limits: LimitArgs::default(),
    };
    let (front, _folder) = build_with("http://127.0.0.1:1", policy, CancellationToken::new()).await;
    let (status, headers, _) = get(&front, "/", header::ACCEPT, "application/json").await;
    assert!(status.is_redirection() && headers[header::LOCATION] == "/docs/");
    for path in ["/me", "/shows/1", "/line/x", "/assets/0/main.js"] {
        let (status, ..) = get(&front, path, header::ACCEPT, "text/html").await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
}
