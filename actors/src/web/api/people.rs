//! Who is here, and showing somebody out.

use actix_web::web::{self, Data, Json, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use crate::house::Rooms;
use crate::lobby::{Everyone, ShowOut};
use crate::messages::{self, Service};
use crate::web::error::ApiError;
use crate::web::guard::Admin;
use crate::web::site::Visit;

/// What somebody who has to go is told.
const REASON: &str = "somebody who looks after this house has asked you to go";

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(web::resource("/api/people").get(list).head(list))
        .service(web::resource("/api/people/{id}").delete(show_out));
}

/// Somebody in the house.
#[derive(Debug, Serialize, ToSchema)]
pub struct Person {
    /// In decimal digits.
    #[schema(example = "3459182374918273645")]
    id: String,
    name: String,
    /// Whose client it uses.
    #[schema(example = "videochat")]
    service: &'static str,
    /// Whether there is a way to show this person text.
    reads: bool,
    /// Whether people of the same service write to this person end to end.
    private: bool,
}

impl From<&messages::Person> for Person {
    fn from(person: &messages::Person) -> Person {
        Person {
            id: person.id.to_string(),
            name: person.name.to_string(),
            service: person.service.name(),
            reads: person.reads,
            private: person.private,
        }
    }
}

/// Everyone who is here, by name.
#[utoipa::path(
    operation_id = "people",
    get, path = "/api/people", tag = "people",
    responses((status = 200, body = Vec<Person>)),
)]
pub async fn list(rooms: Data<Rooms>) -> Result<Json<Vec<Person>>, ApiError> {
    let lobby = rooms.lobby.addr().ok_or_else(ApiError::internal)?;
    let everyone = lobby.send(Everyone).await;
    let everyone = everyone.map_err(|_| ApiError::internal())?;
    Ok(Json(
        everyone.iter().map(|person| (&**person).into()).collect(),
    ))
}

/// Shows somebody out.
#[utoipa::path(
    operation_id = "show_out",
    delete, path = "/api/people/{id}", tag = "people",
    params(("id" = String, Path, description = "Of the person")),
    responses(
        (status = 204),
        (status = 403, body = ApiError, description = "Only admins may; the bot stays"),
        (status = 404, body = ApiError),
    ),
)]
pub async fn show_out(
    _: Admin,
    request: HttpRequest,
    rooms: Data<Rooms>,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let gone = || ApiError::not_found("there is nobody of this number");
    let person = id.parse().map_err(|_| gone())?;
    let lobby = rooms.lobby.addr().ok_or_else(ApiError::internal)?;
    let everyone = lobby.send(Everyone).await;
    let everyone = everyone.map_err(|_| ApiError::internal())?;
    let found = everyone.iter().find(|present| present.id == person);
    let found = found.ok_or_else(gone)?;
    if found.service == Service::House {
        return Err(ApiError::forbidden("the bot belongs to the house"));
    }
    let reason = REASON.to_owned();
    let told = lobby.send(ShowOut { person, reason }).await;
    if !told.map_err(|_| ApiError::internal())? {
        return Err(gone());
    }
    let by = request.conn_data::<Visit>().map(|visit| visit.peer);
    tracing::info!(user = %found.name, service = %found.service, ?by, "is shown out by an admin");
    Ok(HttpResponse::NoContent().finish())
}
