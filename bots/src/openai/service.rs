//! What all conversations with one endpoint share.

use std::fmt;
use std::sync::Arc;

use reqwest::Client;
use reqwest::Url;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::openai::{OpenAiSettings, SettingsError};

const USER_AGENT: &str = concat!("playhouse/", env!("CARGO_PKG_VERSION"));

/// An endpoint that can be asked, from any thread. Clones are the same one: together they keep
/// [`max_parallel`](OpenAiSettings::max_parallel).
#[derive(Clone)]
pub struct OpenAiService(Arc<Inner>);

struct Inner {
    settings: OpenAiSettings,
    endpoint: Url,
    client: Client,
    turns: Semaphore,
}

impl OpenAiService {
    /// Checks the settings and reads the system's certificates. Connects to nobody.
    ///
    /// # Errors
    /// A setting that can't be used; an `https` address, and no certificates to trust.
    pub fn new(mut settings: OpenAiSettings) -> Result<OpenAiService, SettingsError> {
        settings.key = settings
            .key
            .map(|key| key.trim().to_owned())
            .filter(|key| !key.is_empty());
        let endpoint = endpoint(&settings.url)?;
        if settings.model.is_empty() {
            return Err(SettingsError::Model);
        }
        if settings.time_limit.is_zero() {
            return Err(SettingsError::TimeLimit);
        }
        let parallel = 1..=Semaphore::MAX_PERMITS;
        if !parallel.contains(&settings.max_parallel) {
            return Err(SettingsError::MaxParallel {
                found: settings.max_parallel,
                most: *parallel.end(),
            });
        }
        let client = Client::builder()
            .tls_backend_preconfigured(tls(endpoint.scheme() == "https")?)
            .default_headers(headers(settings.key.as_deref())?)
            .user_agent(USER_AGENT)
            .redirect(Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|e| SettingsError::Tls {
                reason: e.to_string(),
            })?;
        Ok(OpenAiService(Arc::new(Inner {
            turns: Semaphore::new(settings.max_parallel),
            settings,
            endpoint,
            client,
        })))
    }

    pub(crate) fn settings(&self) -> &OpenAiSettings {
        &self.0.settings
    }

    /// Waits until fewer than `max_parallel` questions are on their way. Ours is until this is dropped.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // It fails only when closed, and nobody closes it.
        self.0.turns.acquire().await.ok()
    }

    /// A request to the endpoint, with all headers but those of its body.
    pub(crate) fn post(&self) -> reqwest::RequestBuilder {
        self.0.client.post(self.0.endpoint.clone())
    }
}

impl fmt::Debug for OpenAiService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OpenAiService")
            .field(&self.0.settings)
            .finish()
    }
}

/// Where questions go.
fn endpoint(base: &str) -> Result<Url, SettingsError> {
    let wrong = |reason: String| SettingsError::Url { reason };
    let mut url = Url::parse(base).map_err(|e| wrong(e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(format!(
            "begins with {}:, must begin with http: or https:",
            url.scheme()
        )));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("must not have a user or a password".to_owned()));
    }
    let path = url.path().trim_end_matches('/');
    let path = match path.ends_with("/chat/completions") {
        true => path.to_owned(),
        false => format!("{path}/chat/completions"),
    };
    url.set_path(&path);
    Ok(url)
}

fn headers(key: Option<&str>) -> Result<HeaderMap, SettingsError> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(key) = key {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {key}"))
            .ok()
            .filter(|value| value.to_str().is_ok())
            .ok_or(SettingsError::Key)?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    Ok(headers)
}

/// TLS as the system trusts it. Where it isn't used nobody is trusted, so that a model in the same house
/// needs no certificates on the machine.
fn tls(used: bool) -> Result<ClientConfig, SettingsError> {
    let wrong = |e: rustls::Error| SettingsError::Tls {
        reason: e.to_string(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(wrong)?;
    let config = match used {
        true => config.with_platform_verifier().map_err(wrong)?,
        false => config.with_root_certificates(RootCertStore::empty()),
    };
    Ok(config.with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_go_to_chat_completions() {
        for (base, expected) in [
            (
                "https://api.openai.com/v1",
                "https://api.openai.com/v1/chat/completions",
            ),
            ("http://[::1]:80/v1/", "http://[::1]/v1/chat/completions"),
            ("http://h", "http://h/chat/completions"),
            ("http://h/chat/completions", "http://h/chat/completions"),
            ("http://h/chat/completions/", "http://h/chat/completions"),
            ("http://h/v1?a=b", "http://h/v1/chat/completions?a=b"),
        ] {
            assert_eq!(endpoint(base).unwrap().as_str(), expected);
        }
    }
}
