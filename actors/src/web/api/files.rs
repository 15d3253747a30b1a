//! /api/files.

use actix_web::web::ServiceConfig;

/// Adds its addresses.
pub fn routes(_: &mut ServiceConfig) {}
