//! One question and its answer over HTTP.

use std::error::Error;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::BotError;
use crate::openai::OpenAiService;
use crate::openai::history::History;
use crate::text::{lines, one_line, shorten};

/// Bytes of an answer as it comes, JSON and all.
const BODY_BYTES: usize = 1 << 20;
/// Bytes of what an operator reads of an error.
const DETAIL_BYTES: usize = 300;

#[derive(Serialize)]
struct Question<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    stream: bool,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Deserialize)]
struct Completion {
    #[serde(default)]
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Said,
}

#[derive(Deserialize)]
struct Said {
    content: Option<String>,
}

/// Asks and gets the answer, without the control characters it may have and not empty. Has no time limit.
pub(crate) async fn ask(
    service: &OpenAiService,
    history: &History,
    question: &str,
) -> Result<String, BotError> {
    let body = serde_json::to_vec(&question_for(service, history, question)).map_err(|e| {
        BotError::Garbage {
            detail: detail(service, &format!("can't ask: {e}")),
        }
    })?;
    let response = service
        .post()
        .header(CONTENT_TYPE, "application/json")
        .body(body)
        .send()
        .await
        .map_err(|e| broken(service, e))?;
    let status = response.status();
    let body = read(service, response).await;
    if !status.is_success() {
        return Err(refused(service, status, &body.unwrap_or_default()));
    }
    answer_in(&body?).map_err(|reason| BotError::Garbage {
        detail: detail(service, &reason),
    })
}

fn question_for<'a>(
    service: &'a OpenAiService,
    history: &'a History,
    question: &'a str,
) -> Question<'a> {
    let settings = service.settings();
    let system = Some(settings.system.as_str()).filter(|system| !system.is_empty());
    let past = history
        .pairs()
        .flat_map(|(question, answer)| [("user", question), ("assistant", answer)]);
    let messages = system
        .map(|system| ("system", system))
        .into_iter()
        .chain(past)
        .chain([("user", question)])
        .map(|(role, content)| Message { role, content })
        .collect();
    Question {
        model: &settings.model,
        messages,
        stream: false,
    }
}

/// The body, piece by piece: what is too large is not read to its end.
async fn read(service: &OpenAiService, mut response: Response) -> Result<Vec<u8>, BotError> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|e| broken(service, e))? {
        if body.len() + piece.len() > BODY_BYTES {
            return Err(BotError::TooLarge { limit: BODY_BYTES });
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// The text of the first choice, or what is wrong.
fn answer_in(body: &[u8]) -> Result<String, String> {
    let completion: Completion = serde_json::from_slice(body)
        .map_err(|e| format!("not a completion: {e}: {}", own_message(body)))?;
    let choice = (completion.choices.into_iter().next())
        .ok_or_else(|| format!("no choices: {}", own_message(body)))?;
    let text = lines(&choice.message.content.unwrap_or_default());
    match text.trim() {
        "" => Err("the answer is empty".to_owned()),
        text => Ok(text.to_owned()),
    }
}

fn refused(service: &OpenAiService, status: StatusCode, body: &[u8]) -> BotError {
    BotError::Status {
        status: status.as_u16(),
        message: detail(service, &own_message(body)),
    }
}

/// What a service says of its failure, where such things commonly are; else all of it.
fn own_message(body: &[u8]) -> String {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    ["/error/message", "/error", "/message", "/detail"]
        .iter()
        .find_map(|path| json.pointer(path)?.as_str().map(str::to_owned))
        .unwrap_or_else(|| String::from_utf8_lossy(body).into_owned())
}

fn broken(service: &OpenAiService, error: reqwest::Error) -> BotError {
    let is_connect = error.is_connect();
    let error = error.without_url();
    let mut reasons = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        reasons.push_str(": ");
        reasons.push_str(&error.to_string());
        source = error.source();
    }
    let detail = detail(service, &reasons);
    match is_connect {
        true => BotError::Connect { detail },
        false => BotError::Interrupted { detail },
    }
}

/// For a log: short, on one line, and without the key, which some services quote.
fn detail(service: &OpenAiService, text: &str) -> String {
    let text = match &service.settings().key {
        Some(key) => text.replace(key.as_str(), "…"),
        None => text.to_owned(),
    };
    shorten(one_line(&text).trim(), DETAIL_BYTES).into_owned()
}
