//! Gas money, tokens and accounts: everything that traders do on chain themselves before they can trade.

use alloy::primitives::{Address, U256};
use alloy::providers::{Provider, ProviderBuilder};
use futures::future::try_join_all;
use tokio::time::{Duration, sleep, timeout};
use xos_api::XosApiClient;
use xos_auth::Key;
use xos_chain::At;
use xos_types::{AccountId, VenueId};

use super::reckoning::Treasury;
use super::{DemoError, Exchange};
use crate::session::connect;
use crate::trader::Kind;

/// Ten native tokens: more than anybody uses.
pub(super) const GAS_MONEY: U256 = U256::from_limbs([10_000_000_000_000_000_000, 0, 0, 0]);

/// The group's first venue.
const WORLD_CUP: VenueId = VenueId(1);
const CREDITED_WITHIN: Duration = Duration::from_secs(60);

/// A trader with an account.
pub(super) struct Member {
    pub(super) key: Key,
    pub(super) kind: Kind,
    pub(super) account: AccountId,
    /// Atoms of its wallet before it deposited.
    pub(super) brought: u128,
}

/// Gives the deployer the native tokens of a newborn chain; everybody else is paid by transfers.
pub(super) async fn endow(url: &str, deployer: Address) -> Result<(), DemoError> {
    let failed = |reason: String| DemoError::failed("endow the deployer", reason);
    let provider = ProviderBuilder::new().connect_http(url.parse().map_err(|error| failed(format!("{error}")))?);
    let balance = GAS_MONEY * U256::from(10_000);
    provider
        .raw_request::<_, ()>("anvil_setBalance".into(), (deployer, balance))
        .await
        .map_err(|error| failed(error.to_string()))
}

/// Every trader mints, approves and deposits with its own key; answers once the node has credited everybody.
pub(super) async fn fund(
    exchange: &Exchange,
    cast: &[Kind],
    account: AccountId,
) -> Result<(Vec<Member>, Treasury), DemoError> {
    let keys: Vec<Key> = cast.iter().map(|_| Key::random()).collect();
    let addresses: Vec<Address> = keys.iter().map(Key::address).collect();
    exchange.deployer.send_native_to_all(&addresses, GAS_MONEY).await?;
    let token = 10_u128.pow(exchange.chain.token_decimals().await?.into());
    let members = cast.iter().zip(keys).map(|(&kind, key)| async move {
        let wallet = exchange.chain.wallet(key.clone());
        let amount = kind.capital() * token;
        tokio::try_join!(wallet.mint(wallet.address(), amount), wallet.approve(amount))?;
        let brought = in_atoms(wallet.balance().await?)?;
        let deposited = wallet.deposit(None, amount).await?;
        Ok::<_, DemoError>(Member { key, kind, account: deposited.account, brought })
    });
    let mut members = try_join_all(members).await?;
    members.sort_by_key(|member| member.account);

    for member in &members {
        wait_credited(exchange, member.account).await?;
    }
    let brought = exchange.chain.account(account, At::Latest).await?.cash;
    let wallet = in_atoms(exchange.deployer.balance().await?)?;
    Ok((members, Treasury { account, brought, wallet }))
}

/// The deployer's own account, which the venue's fees go to from here on: a new group has only the protocol's.
pub(super) async fn open_treasury(exchange: &Exchange) -> Result<AccountId, DemoError> {
    let token = 10_u128.pow(exchange.chain.token_decimals().await?.into());
    let account = exchange.deployer.fund(None, token).await?.account;
    wait_credited(exchange, account).await?;
    let treasury = [("treasury", serde_json::json!(account.0))];
    exchange.opening.change("venue-worldcup", 1, &treasury).await?;
    let settled = async {
        while exchange.chain.venue(WORLD_CUP, At::Latest).await?.treasury != account {
            sleep(Duration::from_millis(100)).await;
        }
        Ok(account)
    };
    timeout(CREDITED_WITHIN, settled)
        .await
        .map_err(|_| DemoError::failed("open the treasury", "the venue's change does not settle"))?
}

/// An account is unknown until the log has consumed its first deposit.
pub(super) async fn wait_credited(exchange: &Exchange, account: AccountId) -> Result<(), DemoError> {
    let client = connect(&exchange.venue.url).await?;
    let known = async {
        while client.account(account).await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(CREDITED_WITHIN, known)
        .await
        .map_err(|_| DemoError::failed("deposit", format!("the node does not credit account {account}")))
}

/// A balance as the amounts of accounts are counted.
pub(super) fn in_atoms(balance: U256) -> Result<u128, DemoError> {
    u128::try_from(balance).map_err(|_| DemoError::failed("count a balance", format!("{balance} atoms are too many")))
}
