//! The OpenAPI document: what every operation has in common is put in here.

use std::borrow::Cow;

use bytes::Bytes;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, InfoBuilder, OpenApi, Ref, RefOr};
use utoipa::{PartialSchema as _, ToSchema as _};

use crate::api::Verb;
use crate::groups::GroupVerb;
use crate::limits::{Caps, SetCaps};
use crate::schema::Direction;
use crate::{Problem, guard};

/// Where it is served.
pub(crate) const PATH: &str = "/v1/openapi.json";

const ABOUT: &str = "Durable transfers to and from Amazon S3 and S3-compatible stores. \
    Every error is a problem document (RFC 9457) with a stable `code`. Over TCP requests name \
    this service by its own address, and carry its token; over the control socket neither is needed.";

/// The document as it is served.
pub(crate) fn whole(api: OpenApi) -> Bytes {
    let json = serde_json::to_vec(&complete(api)).unwrap_or_default();
    json.into()
}

fn complete(mut api: OpenApi) -> OpenApi {
    api.info = InfoBuilder::new()
        .title("Towline")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .build();
    for (path, item) in &mut api.paths.paths {
        for (method, operation) in operations(item) {
            let problem = Ref::from_schema_name(Problem::name());
            let content = ContentBuilder::new().schema(Some(problem)).build();
            let answer = ResponseBuilder::new()
                .description("It was not done")
                .content("application/problem+json", content)
                .build();
            let responses = &mut operation.responses.responses;
            responses.insert("default".into(), RefOr::T(answer));
            if !guard::needs_no_token(&method, path) {
                let token = SecurityRequirement::new::<_, _, String>("token", []);
                operation.security = Some(vec![token]);
            }
        }
    }
    let components = api.components.get_or_insert_with(Components::new);
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.add_security_scheme("token", bearer);
    // Those that only parameters, maps and the answers above refer to.
    let mut add = |name: Cow<'static, str>, schema: RefOr<Schema>| {
        components.schemas.insert(name.into(), schema);
    };
    add(Problem::name(), Problem::schema());
    add(Verb::name(), Verb::schema());
    add(GroupVerb::name(), GroupVerb::schema());
    add(Caps::name(), Caps::schema());
    add(SetCaps::name(), SetCaps::schema());
    add(Direction::name(), Direction::schema());
    api
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (axum::http::Method, &mut Operation)> {
    use axum::http::Method;
    let all = [
        (Method::GET, &mut item.get),
        (Method::PUT, &mut item.put),
        (Method::POST, &mut item.post),
        (Method::PATCH, &mut item.patch),
        (Method::DELETE, &mut item.delete),
    ];
    let there = all.into_iter();
    there.filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `$ref` in a document.
    fn references(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                if let Some(serde_json::Value::String(reference)) = fields.get("$ref") {
                    found.push(reference.clone());
                }
                fields.values().for_each(|value| references(value, found));
            }
            serde_json::Value::Array(values) => {
                values.iter().for_each(|value| references(value, found));
            }
            _ => {}
        }
    }

    #[test]
    fn whatever_the_document_refers_to_is_in_it() {
        let document = complete(crate::routes::api().split_for_parts().1);
        let document = serde_json::to_value(document).unwrap();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 20);
        for reference in found {
            let place = reference.trim_start_matches('#');
            assert!(document.pointer(place).is_some(), "{reference}");
        }
    }

    #[test]
    fn s11_two_routes_and_the_files_of_the_page_need_no_token_and_no_other() {
        let mut api = complete(crate::routes::api().split_for_parts().1);
        let mut open = Vec::new();
        for (path, item) in &mut api.paths.paths {
            for (method, operation) in operations(item) {
                let needs = operation.security.is_some();
                assert_eq!(needs, !guard::needs_no_token(&method, path), "{path}");
                if !needs {
                    open.push(format!("{method} {path}"));
                }
            }
        }
        assert_eq!(open, ["GET /v1/alive", "POST /v1/login"]);
    }
}
