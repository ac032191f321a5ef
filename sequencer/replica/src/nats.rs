//! The log on NATS JetStream.

use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RawMessageErrorKind, RetentionPolicy, StorageType, Stream};
use async_nats::jetstream::{self, Context};
use bytes::Bytes;
use futures::{FutureExt, StreamExt, future};
use xos_types::GroupConfig;

use crate::BLOCK_BYTES;
use crate::log::{Ack, AppendError, Beats, Log, LogError, Messages};

/// How long an answer may take before it counts as lost.
const ANSWER: Duration = Duration::from_secs(2);
/// Bytes of a message besides a block's commands.
const OVERHEAD: usize = 64 << 10;

/// Which servers, and how the stream is kept.
#[derive(Clone, Debug)]
pub struct JetStreamConfig {
    /// Addresses of the servers, `nats://host:port`.
    pub servers: Vec<String>,
    /// How many of them keep each message.
    pub replicas: usize,
    /// File with the credentials, if the servers want any.
    pub credentials: Option<std::path::PathBuf>,
}

/// A group's stream.
#[derive(Clone, Debug)]
pub struct JetStream {
    context: Context,
    stream: Stream,
    subject: String,
    beats: String,
}

impl JetStream {
    /// Connects, and makes the group's stream if there is none.
    ///
    /// # Errors
    /// If no server answers, or they cannot keep such a stream.
    pub async fn connect(config: &JetStreamConfig, group: &GroupConfig) -> Result<Self, LogError> {
        let failed = |what: &str| {
            let what = format!("{what} ({})", config.servers.join(", "));
            move |error: Box<dyn std::error::Error + Send + Sync>| LogError(format!("{what}: {error}"))
        };
        let mut options = ConnectOptions::new().name("xos node").connection_timeout(ANSWER);
        if let Some(path) = &config.credentials {
            options = options
                .credentials_file(path)
                .await
                .map_err(|error| LogError(format!("cannot read the credentials in {}: {error}", path.display())))?;
        }
        let client = options
            .connect(config.servers.as_slice())
            .await
            .map_err(|error| failed("no NATS server answers")(error.into()))?;
        let largest = client.server_info().max_payload;
        if largest < BLOCK_BYTES + OVERHEAD {
            return Err(LogError(format!(
                "the NATS servers take messages of {largest} bytes, but blocks may have {}: raise `max_payload`",
                BLOCK_BYTES + OVERHEAD
            )));
        }
        let mut context = jetstream::context::ContextBuilder::new().timeout(ANSWER).ack_timeout(ANSWER).build(client);
        context.set_timeout(ANSWER);
        let name = format!("xos-{}-{:x}", group.chain_id, group.group);
        let subject = format!("xos.{}.{:x}.log", group.chain_id, group.group);
        let wanted = Config {
            name,
            subjects: vec![subject.clone()],
            num_replicas: config.replicas,
            storage: StorageType::File,
            retention: RetentionPolicy::Limits,
            // A full stream must say so, not forget.
            discard: DiscardPolicy::New,
            deny_delete: true,
            deny_purge: true,
            description: Some("journal blocks of an Exchange OS group".to_owned()),
            ..Config::default()
        };
        let stream = context
            .get_or_create_stream(wanted)
            .await
            .map_err(|error| failed("cannot make or find the group's stream")(error.into()))?;
        let replicas = stream.cached_info().config.num_replicas;
        if replicas != config.replicas {
            return Err(LogError(format!(
                "the group's stream is kept {replicas} times, but `replication.replicas` is {}; change one of them (`nats stream edit`)",
                config.replicas
            )));
        }
        let beats = format!("xos.{}.{:x}.beat", group.chain_id, group.group);
        Ok(Self { context, stream, subject, beats })
    }

    async fn state(&self) -> Result<jetstream::stream::State, LogError> {
        let info = self.stream.get_info().await.map_err(|error| LogError(error.to_string()))?;
        Ok(info.state)
    }
}

impl Log for JetStream {
    async fn send(&self, after: u64, message: Bytes) -> Ack {
        let message = PublishMessage::build().payload(message).expected_last_sequence(after);
        match self.context.send_publish(self.subject.clone(), message).await {
            Ok(ack) => async move { ack.await.map(|ack| ack.sequence).map_err(|error| refused(&error)) }.boxed(),
            Err(error) => future::ready(Err(refused(&error))).boxed(),
        }
    }

    async fn last(&self) -> Result<u64, LogError> {
        Ok(self.state().await?.last_sequence)
    }

    async fn first(&self) -> Result<u64, LogError> {
        let state = self.state().await?;
        Ok(if state.messages == 0 { state.last_sequence + 1 } else { state.first_sequence })
    }

    async fn get(&self, number: u64) -> Result<Option<Bytes>, LogError> {
        match self.stream.get_raw_message(number).await {
            Ok(message) => Ok(Some(message.payload)),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(LogError(error.to_string())),
        }
    }

    async fn read(&self, from: u64) -> Result<Messages, LogError> {
        let consumer = pull::OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: from.max(1) },
            ..pull::OrderedConfig::default()
        };
        let consumer = self.stream.create_consumer(consumer).await.map_err(|error| LogError(error.to_string()))?;
        let messages = consumer.messages().await.map_err(|error| LogError(error.to_string()))?;
        let number = |message: jetstream::Message| {
            let number = message.info().map_err(|error| LogError(error.to_string()))?.stream_sequence;
            Ok((number, message.message.payload))
        };
        Ok(messages.map(move |message| message.map_err(|error| LogError(error.to_string())).and_then(number)).boxed())
    }

    async fn beat(&self, beat: Bytes) {
        // Whether anybody hears it is not known anyway.
        let _ = self.context.client().publish(self.beats.clone(), beat).await;
    }

    async fn beats(&self) -> Result<Beats, LogError> {
        let heard = self.context.client().subscribe(self.beats.clone()).await;
        Ok(heard.map_err(|error| LogError(error.to_string()))?.map(|message| message.payload).boxed())
    }
}

fn refused(error: &jetstream::context::PublishError) -> AppendError {
    match error.kind() {
        PublishErrorKind::WrongLastSequence => AppendError::NotLast,
        _ => AppendError::Unknown(error.to_string()),
    }
}
