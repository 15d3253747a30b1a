//! What was said in the room.

use actix_web::web::{self, Data, Json, Query, ServiceConfig};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::history::{Recall, Remembered};
use crate::house::Rooms;
use crate::web::error::ApiError;

/// Messages that are told when nobody says how many.
const SOME: usize = 50;
/// Messages that are told at most.
const MOST: usize = 200;
/// Bytes of words that are looked for.
const MAX_QUERY: usize = 1024;

pub fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/api/messages").get(list).head(list));
}

/// Which messages.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Only those before this one: its `id`.
    before: Option<String>,
    /// So many, the newest ones; at most 200.
    #[serde(default)]
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// Only those that have this in them, in whatever case.
    query: Option<String>,
}

/// What somebody said to all.
#[derive(Debug, Serialize, ToSchema)]
pub struct Said {
    /// Its number, ascending, in decimal digits.
    id: String,
    /// Milliseconds since 1970.
    at: i64,
    from: Speaker,
    text: String,
}

/// Who said it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Speaker {
    /// In decimal digits.
    id: String,
    /// The name that this person had.
    name: String,
    service: String,
}

impl From<Remembered> for Said {
    fn from(said: Remembered) -> Said {
        Said {
            id: said.number.to_string(),
            at: said.at_ms,
            from: Speaker {
                id: said.from.to_string(),
                name: said.name,
                service: said.service,
            },
            text: said.text,
        }
    }
}

/// What was said to all, as far as the house could read and remembers it, oldest first.
#[utoipa::path(
    operation_id = "messages",
    get, path = "/api/messages", tag = "people",
    params(Which),
    responses((status = 200, body = Vec<Said>), (status = 400, body = ApiError)),
)]
pub async fn list(rooms: Data<Rooms>, which: Query<Which>) -> Result<Json<Vec<Said>>, ApiError> {
    let Which {
        before,
        limit,
        query,
    } = which.into_inner();
    let before = before.map(|number| number.parse()).transpose();
    let before = before.map_err(|_| ApiError::bad("before: the id of a message"))?;
    let query = query.filter(|query| !query.is_empty());
    if query.as_ref().is_some_and(|query| query.len() > MAX_QUERY) {
        return Err(ApiError::bad(format!("query: at most {MAX_QUERY} bytes")));
    }
    let history = rooms.history.addr().ok_or_else(ApiError::internal)?;
    let recalled = history.send(Recall {
        before,
        limit: limit.unwrap_or(SOME).min(MOST),
        query,
    });
    let recalled = recalled.await.map_err(|_| ApiError::internal())?;
    Ok(Json(recalled.into_iter().map(Said::from).collect()))
}
