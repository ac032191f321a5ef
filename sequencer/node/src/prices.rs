//! The operator's side of index prices: asks reporters for what they have signed, and has a proven price ready for every feed
//! when a frame opens. What the engine is told stands in the log, with its proof; nothing here is asked again at a replay.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use tokio::time::sleep;
use xos_api::{PriceReport, PriceReporterClient};
use xos_chain::{Chain, ChainError, QuorumSource, SignedReport};
use xos_types::{Address, FeedConfig, FeedId, PriceUpdate, TimeMs};

/// How often each reporter is asked.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// How long a reporter may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Between two tries with one that does not answer.
const TRY_AGAIN: Duration = Duration::from_secs(2);
/// The most that is looked at of one answer; a reporter has one report for each feed.
const REPORTS_MAX: usize = 1_000;

/// What is known of prices: sources by address, with their reporters' latest word.
#[derive(Debug, Default)]
pub(crate) struct Prices {
    sources: Mutex<BTreeMap<Address, QuorumSource>>,
}

impl Prices {
    /// What can be told to the engine for a frame at `time` about these feeds, in their order: of those whose price is newer than
    /// the one that the engine has.
    pub(crate) fn at(
        &self,
        time: TimeMs,
        feeds: impl Iterator<Item = (FeedId, FeedConfig, TimeMs)>,
    ) -> Vec<PriceUpdate> {
        let sources = self.sources();
        let update = |(feed, config, last): (FeedId, FeedConfig, TimeMs)| {
            let proven = sources.get(&config.source)?.price_at(config.name, time)?;
            let is_new = proven.published_at > last;
            is_new.then_some(PriceUpdate {
                feed,
                answer: proven.price,
                published_at: proven.published_at,
                proof: proven.proof,
            })
        };
        feeds.filter_map(update).collect()
    }

    fn sources(&self) -> MutexGuard<'_, BTreeMap<Address, QuorumSource>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a report that its source's rules allow.
    async fn hear(&self, chain: &Chain, report: PriceReport) -> Result<(), ChainError> {
        let known = self.sources().get(&report.source).cloned();
        let mut source = match known {
            Some(source) => source,
            None => QuorumSource::find(chain, report.source).await?,
        };
        let PriceReport { source: address, feed, price, time, signature } = report;
        let signed = SignedReport { feed, price, time, signature };
        if source.hear(chain, signed).await? {
            let mut sources = self.sources();
            // Another reporter's task may have changed it meanwhile; the report is good whichever is first.
            match sources.get_mut(&address) {
                Some(kept) => kept.merge(source),
                None => drop(sources.insert(address, source)),
            }
        }
        Ok(())
    }
}

/// Asks one reporter for ever.
pub(crate) async fn follow(prices: Arc<Prices>, chain: Chain, url: String) {
    let mut client: Option<HttpClient> = None;
    let mut silent = false;
    loop {
        let answer = match &client {
            Some(client) => client.reports().await.map_err(|error| error.to_string()),
            None => match HttpClientBuilder::default().request_timeout(ANSWER_WITHIN).build(&url) {
                Ok(new) => {
                    client = Some(new);
                    continue;
                }
                Err(error) => Err(error.to_string()),
            },
        };
        match answer {
            Ok(reports) => {
                silent = false;
                for report in reports.into_iter().take(REPORTS_MAX) {
                    if let Err(error) = prices.hear(&chain, report).await {
                        tracing::warn!(%error, reporter = %url, "a report cannot be checked");
                    }
                }
                sleep(ASK_EVERY).await;
            }
            Err(error) => {
                if !silent {
                    tracing::warn!(error, reporter = %url, "a price reporter does not answer; trying again");
                }
                silent = true;
                sleep(TRY_AGAIN).await;
            }
        }
    }
}
