//! The channels by which people are told, and trying them.

use super::route::Route;
use super::{Answer, App, Caller, Needs, Of};
use crate::error::Failure;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use writ_pipeline::ChannelState;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/notifications", Needs::Reader, list)
            .says("notifications", "List the channels", "By which people are told, and how each fares.")
            .whole("the configuration names the channels")
            .answers::<Channels>(),
        Route::post("/api/v1/notifications/test", Needs::Admin, Of::Realm, test)
            .says(
                "notifications",
                "Try the channels",
                "Sends something that says nothing to every channel at once, and answers what each said.",
            )
            .answers::<ChannelsTried>(),
    ]
}

/// A channel.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Channel {
    /// `console`, `webhook`, `slack` or `smtp`.
    name: String,
    /// How many notifications wait for it; 1,000 stands for more.
    waiting: usize,
    /// When it last took one.
    delivered_at: Option<String>,
    /// When one was last given up.
    failed_at: Option<String>,
    /// Why that was.
    failed_because: Option<String>,
    /// Since when it takes nothing; none while it does.
    failing_since: Option<String>,
    /// Why it does not.
    failing_because: Option<String>,
}

impl From<ChannelState> for Channel {
    fn from(state: ChannelState) -> Self {
        let told = |what: Option<(writ_core::Timestamp, String)>| {
            what.map_or((None, None), |(at, because)| (Some(at.to_string()), Some(because)))
        };
        let ((failed_at, failed_because), (failing_since, failing_because)) = (told(state.failed), told(state.failing));
        let delivered_at = state.delivered.map(|at| at.to_string());
        let (name, waiting) = (state.name, state.waiting);
        Self { name, waiting, delivered_at, failed_at, failed_because, failing_since, failing_because }
    }
}

/// All channels.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Channels {
    items: Vec<Channel>,
    /// There is one page.
    next: Option<String>,
}

/// What a channel said.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChannelTried {
    channel: String,
    /// Whether it took what was sent.
    took: bool,
    /// Why not.
    because: Option<String>,
}

/// What every channel said.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChannelsTried {
    items: Vec<ChannelTried>,
    /// There is one page.
    next: Option<String>,
}

async fn list(State(shared): App) -> Answer<Channels> {
    let items = shared.pipeline.channels().await?.into_iter().map(Channel::from).collect();
    Ok(Json(Channels { items, next: None }))
}

async fn test(State(shared): App, caller: Caller) -> Answer<ChannelsTried> {
    let tested = shared.pipeline.test_channels(&caller.actor()).await.map_err(Failure::from)?;
    let tried = |one: writ_pipeline::Tested| ChannelTried {
        channel: one.channel,
        took: one.because.is_none(),
        because: one.because,
    };
    Ok(Json(ChannelsTried { items: tested.into_iter().map(tried).collect(), next: None }))
}
