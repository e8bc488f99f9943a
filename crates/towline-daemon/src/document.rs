//! The OpenAPI document: what every operation has in common is put in here.

use bytes::Bytes;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, InfoBuilder, OpenApi, Ref, RefOr};
use utoipa::{PartialSchema as _, ToSchema as _};

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
    let problem: RefOr<Schema> = Problem::schema();
    components.schemas.insert(Problem::name().into(), problem);
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
