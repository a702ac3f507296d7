//! The bindings of the protos (`google.api.http`) against the document: a gateway that is made from the
//! protos has each RPC where REST has it.

use std::collections::BTreeSet;

use boxoffice_proto::DESCRIPTORS;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};

use super::*;

/// The methods of HTTP that a binding may name.
const VERBS: [&str; 5] = ["get", "put", "post", "delete", "patch"];
/// How the document names what the protos name otherwise: over REST a checkout is shown as a payment.
const RENAMED: [(&str, &str); 1] = [("{payment_id}", "{checkout_id}")];
/// Operations that are no binding: a WebSocket is not HTTP, and its RPC is found as the stream of events.
const UNBOUND: [&str; 1] = ["token_socket"];

/// An address of an RPC: the HTTP method, the path with names of the protos, and the request's field in the
/// body.
struct Binding {
    verb: String,
    path: String,
    body: String,
}

/// The bindings of a method.
fn bindings(pool: &DescriptorPool, method: &MethodDescriptor) -> Vec<Binding> {
    let http = pool.get_extension_by_name("google.api.http").unwrap();
    let options = method.options();
    if !options.has_extension(&http) {
        return Vec::new();
    }
    let rule = options.get_extension(&http).as_message().unwrap().clone();
    let more = rule.get_field_by_name("additional_bindings").unwrap();
    let more = more.as_list().unwrap().iter().map(|rule| rule.as_message().unwrap().clone());
    let text = |rule: &DynamicMessage, field: &str| {
        rule.get_field_by_name(field).unwrap().as_str().unwrap().to_owned()
    };
    let rules = std::iter::once(rule.clone()).chain(more);
    let binding = |rule: DynamicMessage| {
        let verb = VERBS.into_iter().find(|verb| rule.has_field_by_name(verb)).unwrap();
        Binding { verb: verb.to_owned(), path: text(&rule, verb), body: text(&rule, "body") }
    };
    rules.map(binding).collect()
}

/// Every RPC of ours.
fn methods(pool: &DescriptorPool) -> Vec<MethodDescriptor> {
    let ours = pool.services().filter(|service| service.full_name().starts_with("boxoffice."));
    ours.flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
}

/// How both sides write an address.
fn address(rpc: &str, verb: &str, path: &str, has_body: bool) -> String {
    format!("{rpc}: {verb} {path}{}", if has_body { " with a body" } else { "" })
}

/// The addresses that the protos bind.
fn bound() -> BTreeSet<String> {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let each = methods(&pool).into_iter().flat_map(|method| {
        let rpc = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let all = bindings(&pool, &method).into_iter();
        all.map(move |one| address(&rpc, &one.verb, &one.path, !one.body.is_empty()))
    });
    each.collect()
}

/// The addresses of a document's operations, those of the original API left out.
fn served(document: &Value) -> BTreeSet<String> {
    let each = each(document).into_iter().filter_map(|(name, operation)| {
        let (verb, path) = name.split_once(' ')?;
        let operation = operation.as_object()?;
        let known = operation_of(operation).filter(|known| !UNBOUND.contains(&known.id))?;
        // REST asks for many places in one call, and is under that call's rule.
        let rpc = match known.id {
            "get_token" => "/boxoffice.queue.v1.QueueService/GetToken",
            _ => known.rule.path,
        };
        let mut path = in_proto(path);
        for (rest, proto) in RENAMED {
            path = path.replace(rest, proto);
        }
        let has_body = operation.contains_key("requestBody");
        path.starts_with("/v1/").then(|| address(rpc, verb, &path, has_body))
    });
    each.collect()
}

/// `{queueId}` is `{queue_id}`.
fn in_proto(path: &str) -> String {
    let letter = |c: char| {
        let rises = c.is_ascii_uppercase().then_some('_');
        rises.into_iter().chain([c.to_ascii_lowercase()])
    };
    path.chars().flat_map(letter).collect()
}

/// What only one of both has.
fn differences(served: &BTreeSet<String>, bound: &BTreeSet<String>) -> Vec<String> {
    let unbound = served.difference(bound).map(|one| format!("the protos lack {one}"));
    unbound.chain(bound.difference(served).map(|one| format!("REST lacks {one}"))).collect()
}

#[test]
fn a_gateway_has_every_rpc_where_rest_has_it() {
    let (served, bound) = (served(&document()), bound());
    assert_eq!(differences(&served, &bound), [""; 0]);
    assert!(served.len() > 20, "{}", served.len());
}

#[test]
fn a_binding_names_fields_of_its_request() {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    for method in methods(&pool) {
        let request = method.input();
        for Binding { path, body, .. } in bindings(&pool, &method) {
            let segments = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
            let body = Some(body.as_str()).filter(|body| !["", "*"].contains(body));
            for field in segments.chain(body) {
                assert!(request.get_field_by_name(field).is_some(), "{path}: {field}");
            }
        }
    }
}

#[test]
fn a_route_that_moves_is_seen() {
    let mut moved = document();
    let paths = moved["paths"].as_object_mut().unwrap();
    let show = paths.remove("/v1/shows/{showId}").unwrap();
    paths.insert("/v1/performances/{showId}".to_owned(), show);
    let queue = paths["/v1/queues/{queueId}"].as_object_mut().unwrap();
    let put = queue.remove("put").unwrap();
    queue.insert("post".to_owned(), put);
    let pay = paths["/v1/payments"]["post"].as_object_mut().unwrap();
    let _body = pay.remove("requestBody").unwrap();
    let expected = [
        "the protos lack /boxoffice.booking.v1.BookingService/GetShow: get /v1/performances/{show_id}",
        "the protos lack /boxoffice.booking.v1.BookingService/UpdateShow: patch /v1/performances/{show_id} with a body",
        "the protos lack /boxoffice.checkout.v1.CheckoutService/Pay: post /v1/payments",
        "the protos lack /boxoffice.queue.v1.QueueService/UpdateQueue: post /v1/queues/{queue_id} with a body",
        "REST lacks /boxoffice.booking.v1.BookingService/GetShow: get /v1/shows/{show_id}",
        "REST lacks /boxoffice.booking.v1.BookingService/UpdateShow: patch /v1/shows/{show_id} with a body",
        "REST lacks /boxoffice.checkout.v1.CheckoutService/Pay: post /v1/payments with a body",
        "REST lacks /boxoffice.queue.v1.QueueService/UpdateQueue: put /v1/queues/{queue_id} with a body",
    ];
    assert_eq!(differences(&served(&moved), &bound()), expected);
}
