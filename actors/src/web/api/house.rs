//! How the house is, for programs.

use std::sync::Arc;

use actix_web::web::{self, Data, Json, ServiceConfig};

use crate::house::Rooms;
use crate::web::vitals::{Vitals, vitals};

pub fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/api/house").get(house));
}

async fn house(rooms: Data<Rooms>) -> Json<Arc<Vitals>> {
    Json(vitals(&rooms).await)
}
