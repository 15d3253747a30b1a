//! /api/uploads: resumable uploads, tus 1.0.

use actix_web::web::ServiceConfig;

/// Adds its addresses.
pub fn routes(_: &mut ServiceConfig) {}
