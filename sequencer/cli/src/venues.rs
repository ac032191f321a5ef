//! `xos venue list`

use clap::Args;
use xos_api::people::{ratio, tokens};
use xos_api::{FeeTierInfo, VenueInfo, XosApiClient};
use xos_types::Ppm;

use crate::error::CliError;
use crate::output::{Output, table};
use crate::session::NodeFlags;

/// Parts per million in a hundredth.
const PERCENT: u128 = 10_000;

/// List the group's venues: who gets their fees, and what those pay who trade much there
#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    node: NodeFlags,
    #[command(flatten)]
    output: Output,
}

impl List {
    pub(crate) async fn run(self) -> Result<(), CliError> {
        let session = self.node.connect().await?;
        let venues = session.ask(session.client.venues()).await?;
        let decimals = session.info.token_decimals;
        self.output.print(&venues, |venues| describe(venues, decimals))
    }
}

fn describe(venues: &[VenueInfo], decimals: u8) -> String {
    let row = |venue: &VenueInfo| {
        let shares = [venue.protocol_share, venue.insurance_share, venue.referrer_share].map(percent);
        [vec![venue.venue.to_string(), venue.treasury.to_string()], shares.to_vec()].concat()
    };
    let rows: Vec<_> = venues.iter().map(row).collect();
    let mut text = table(&["venue", "treasury", "protocol %", "insurance %", "referrers %"], 1, &rows);
    for venue in venues.iter().filter(|venue| !venue.fee_tiers.is_empty()) {
        text.push_str(&format!("venue {}, of the fees of its markets:\n", venue.venue));
        let rows: Vec<_> = venue.fee_tiers.iter().map(|tier| tier_row(tier, decimals)).collect();
        text.push_str(&table(&["who has traded", "takers %", "makers %"], 0, &rows));
    }
    text
}

fn tier_row(tier: &FeeTierInfo, decimals: u8) -> Vec<String> {
    let volume = tokens(i128::try_from(tier.volume).unwrap_or(i128::MAX), decimals);
    vec![volume, percent(tier.taker_share), percent(tier.maker_share)]
}

/// Parts per million as people say them.
pub(crate) fn percent(share: Ppm) -> String {
    ratio(share.0.into(), PERCENT)
}
