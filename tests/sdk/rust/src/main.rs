// SPDX-License-Identifier: MIT

//! The main job through the official SDK for Rust: `{"url", "token", "receiver", "secret"}` as JSON on standard input,
//! what it found as JSON on standard output. tests/sdk/go does the same in the same order. With the argument `tour`,
//! every method of the SDK instead (tour.rs).

mod tour;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{json, Value};
use svix::api::{Svix, SvixOptions};
use svix::error::{Error, Result};
use svix::models::{
    ApplicationIn, BackgroundTaskStatus, EndpointIn, EndpointPatch, EndpointSecretRotateIn, EventTypeIn, MessageIn,
    RecoverIn,
};

const MESSAGES: usize = 3;

struct Journey {
    client: Svix,
    given: BTreeMap<String, String>,
    app: String,
    ep: String,
    found: serde_json::Map<String, Value>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let given: BTreeMap<String, String> = serde_json::from_reader(std::io::stdin()).expect("JSON on standard input");
    let options = SvixOptions { server_url: Some(given["url"].clone()), ..Default::default() };
    let client = Svix::new(given["token"].clone(), Some(options));
    let mut journey = Journey { client, given, app: String::new(), ep: String::new(), found: Default::default() };
    let is_tour = std::env::args().nth(1).as_deref() == Some("tour");
    let all = async { if is_tour { journey.tour().await } else { journey.run().await } };
    let ran = tokio::time::timeout(Duration::from_secs(200), all).await;
    ran.expect("the time is enough").expect("no call fails");
    println!("{}", Value::Object(journey.found));
}

impl Journey {
    async fn run(&mut self) -> Result<()> {
        let since = Utc::now() - Duration::from_secs(1);
        self.set_up().await?;
        self.repair(since).await?;
        self.rotate().await?;
        self.refusals().await
    }

    fn note(&mut self, name: &str, value: Value) {
        self.found.insert(name.to_string(), value);
    }

    /// Make an application, an event type and an endpoint that answers 404 to everything.
    async fn set_up(&mut self) -> Result<()> {
        let uid = "Journey.of-Rust_1".to_string();
        let broken = self.given["receiver"].replace("/hook", "/nowhere");
        let wanted = ApplicationIn { uid: Some(uid.clone()), ..ApplicationIn::new("Journey".to_string()) };
        let app = self.client.application().create(wanted, None).await?;
        self.app = self.client.application().get(uid.clone()).await?.id;
        let event_type = EventTypeIn::new("trip.begun".to_string(), "A trip".to_string());
        self.client.event_type().create(event_type, None).await?;
        let mut wanted = EndpointIn::new(broken);
        wanted.uid = Some("ep.of-rust".to_string());
        wanted.event_types = Some(["trip.begun".to_string()].into());
        self.ep = self.client.endpoint().create(app.id, wanted, None).await?.id;
        let listed = self.client.endpoint().list(uid, None).await?;
        self.note("endpoints", json!(listed.data.len()));
        Ok(())
    }

    /// Send messages that fail, correct the endpoint and recover them.
    async fn repair(&mut self, since: DateTime<Utc>) -> Result<()> {
        let mut sent = Vec::new();
        for number in 0..MESSAGES {
            let event_id = format!("trip-{number}");
            let mut wanted = MessageIn::new("trip.begun".to_string(), json!({"text": "å∫ç"}));
            wanted.event_id = Some(event_id.clone());
            let message = self.client.message().create(self.app.clone(), wanted, None).await?;
            let same = self.client.message().get(self.app.clone(), event_id, None).await?.id == message.id;
            sent.push(format!("{} {same}", message.id));
        }
        let failed = self.attempts(MESSAGES).await?;
        let patch = EndpointPatch { url: Some(self.given["receiver"].clone()), ..EndpointPatch::new() };
        self.client.endpoint().patch(self.app.clone(), self.ep.clone(), patch).await?;
        let key = EndpointSecretRotateIn { key: Some(self.given["secret"].clone()), ..EndpointSecretRotateIn::new() };
        self.client.endpoint().rotate_secret(self.app.clone(), self.ep.clone(), key, None).await?;
        let wanted = RecoverIn::new(since);
        let started = self.client.endpoint().recover(self.app.clone(), self.ep.clone(), wanted, None).await?;
        let mut task = self.client.background_task().get(started.id.clone()).await?;
        while task.status == BackgroundTaskStatus::Running {
            tokio::time::sleep(Duration::from_millis(20)).await;
            task = self.client.background_task().get(started.id.clone()).await?;
        }
        let listed = self.client.background_task().list(None).await?.data;
        let repaired = self.attempts(2 * MESSAGES).await?;
        self.note("sent", json!(sent));
        self.note("statuses", json!([failed, repaired]));
        self.note("started", json!([started.status, started.task]));
        self.note("ended", json!([task.status, task.task, task.data]));
        self.note("listed", json!(listed.len() == 1 && listed[0].id == started.id));
        Ok(())
    }

    /// Wait for `count` attempts, and return how many have each status.
    async fn attempts(&self, count: usize) -> Result<BTreeMap<String, usize>> {
        loop {
            let attempts = self.client.message_attempt();
            let listed = attempts.list_by_endpoint(self.app.clone(), "ep.of-rust".to_string(), None).await?.data;
            if listed.len() == count {
                let mut found = BTreeMap::new();
                for each in listed {
                    let words = json!([each.status, each.status_text, each.trigger_type]);
                    let text = words[1].as_str().unwrap_or("");
                    let key = format!("{} {text} {} {}", words[0], words[2], each.response_status_code);
                    *found.entry(key).or_insert(0) += 1;
                }
                return Ok(found);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Replace the secret with one of the server's; the call must not fail, and the secret must change.
    async fn rotate(&mut self) -> Result<()> {
        let before = self.client.endpoint().get_secret(self.app.clone(), self.ep.clone()).await?.key;
        let wanted = EndpointSecretRotateIn::new();
        let answered = self.client.endpoint().rotate_secret(self.app.clone(), self.ep.clone(), wanted, None).await?.key;
        let after = self.client.endpoint().get_secret(self.app.clone(), self.ep.clone()).await?.key;
        let rotated = json!([before == self.given["secret"], after != before && after == answered]);
        self.note("rotated", rotated);
        Ok(())
    }

    /// Ask for absent resources under ids that must stay one segment of the path.
    async fn refusals(&mut self) -> Result<()> {
        let mut found = BTreeMap::new();
        let inside = format!("{}/endpoint", self.app);
        for id in ["a/b", "a%2Fb", "a b", "ü", "a?b", "a#b", "a+b", &inside] {
            let error = self.client.application().get(id.to_string()).await.err();
            *found.entry(refusal(error)).or_insert(0) += 1;
        }
        let error = self.client.application().delete(format!("{inside}/{}", self.ep)).await.err();
        found.insert(format!("delete: {}", refusal(error)), 1);
        let error = self.client.endpoint().get(self.app.clone(), format!("{}/secret", self.ep)).await.err();
        found.insert(format!("secret: {}", refusal(error)), 1);
        let wanted = ApplicationIn { uid: Some("not an uid".to_string()), ..ApplicationIn::new("A".to_string()) };
        found.insert(format!("uid: {}", refusal(self.client.application().create(wanted, None).await.err())), 1);
        let kept = self.client.endpoint().get(self.app.clone(), "ep.of-rust".to_string()).await?.id == self.ep;
        let refused: Vec<String> = found.iter().map(|(key, times)| format!("{key} x{times}")).collect();
        self.note("refused", json!(refused));
        self.note("kept", json!(kept));
        Ok(())
    }
}

fn refusal(error: Option<Error>) -> String {
    match error {
        Some(Error::Http(http)) => {
            let code = http.payload.map_or("unread".to_string(), |payload| payload.code);
            format!("{} {code}", http.status.as_u16())
        }
        Some(Error::Validation(invalid)) => {
            let detail = invalid.payload.map(|payload| payload.detail).unwrap_or_default();
            format!("422 {}", if detail.is_empty() { "unread" } else { "detail" })
        }
        other => format!("no refusal: {other:?}"),
    }
}
