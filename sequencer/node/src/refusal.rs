//! Why something was not done, as clients see it: a stable code, a sentence, and the same as data.

use serde_json::{Value, json};
use xos_api::people::{ratio, tokens};
use xos_api::{ApiError, Code};
use xos_auth::{AuthError, Domain, Tree, Typed};
use xos_types::{Address, Atoms, B256, Command, Reject, SignedTree, Ticks};

use crate::ingress::Refused;
use crate::receipt::Terms;

/// When whoever was refused for want of room may try again: queues are worked off in less.
pub(crate) const RETRY_MS: u32 = 20;

/// What was signed and for which domain, so that a client can find out why its signature says something else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signing {
    domain: Domain,
    struct_hash: B256,
    digest: B256,
    primary_type: &'static str,
}

impl Signing {
    pub(crate) fn of<T: Typed>(domain: &Domain, message: &T) -> Self {
        Self {
            domain: *domain,
            struct_hash: domain.struct_hash(message),
            digest: domain.digest(message),
            primary_type: T::TYPE,
        }
    }

    /// What was signed for a command; nothing is for a frame.
    pub(crate) fn of_command(domain: &Domain, command: &Command) -> Option<Self> {
        Some(match command {
            Command::Place { order, .. }
            | Command::Replace { order, .. }
            | Command::Plan { order, .. }
            | Command::Replan { order, .. } => Self::of(domain, &order.message),
            Command::PlaceTree { tree, .. } => Self::of_tree(domain, tree),
            Command::Amend(signed) => Self::of(domain, &signed.message),
            Command::CancelMany(signed) => Self::of(domain, &signed.message),
            Command::CancelAfter(signed) => Self::of(domain, &signed.message),
            Command::Cancel(signed) => Self::of(domain, &signed.message),
            Command::CancelAll(signed) => Self::of(domain, &signed.message),
            Command::Withdraw(signed) => Self::of(domain, &signed.message),
            Command::Transfer(signed) => Self::of(domain, &signed.message),
            Command::Liquidate(signed) => Self::of(domain, &signed.message),
            Command::Convert(signed) => Self::of(domain, &signed.message),
            Command::InSession { login, .. } => Self::of(domain, &login.message),
            Command::Window { .. } | Command::Frame { .. } => return None,
        })
    }

    /// What was signed for a tree.
    pub(crate) fn of_tree(domain: &Domain, tree: &SignedTree) -> Self {
        let mut built = Tree::default();
        built.build(domain, tree.orders()).expect("a signed tree has as many orders as a tree may");
        Self::of(domain, &built.message())
    }

    fn data(&self, recovered: Option<Address>, expected: &[Address]) -> Value {
        json!({
            "recovered": recovered,
            "expected": expected,
            "domain": {
                "name": "Exchange OS",
                "version": "1",
                "chainId": self.domain.chain_id(),
                "verifyingContract": self.domain.group(),
            },
            "type": self.primary_type,
            "structHash": self.struct_hash,
            "digest": self.digest,
        })
    }
}

/// The signature is none. `owner` is who would have to sign, if the account exists.
pub(crate) fn malformed_signature(error: &AuthError, signing: Option<&Signing>, owner: Option<Address>) -> ApiError {
    let expected: Vec<Address> = owner.into_iter().collect();
    let mut data = signing.map_or_else(|| json!({}), |signing| signing.data(None, &expected));
    set(&mut data, "problem", json!(error.to_string()));
    ApiError::new(Code::BadSignature, format!("{error}; sign the EIP-712 message in `data`"), data)
}

/// The request is of the right form, but asks for too much or for nothing.
pub(crate) fn invalid(field: &str, got: impl ToString, expected: impl ToString) -> ApiError {
    let (got, expected) = (got.to_string(), expected.to_string());
    let message = format!("`{field}` is {got}, expected {expected}");
    ApiError::new(Code::InvalidRequest, message, json!({ "field": field, "got": got, "expected": expected }))
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let message = refused.to_string();
        match refused {
            Refused::Overloaded { what, queued, limit } => Self::new(
                Code::Overloaded,
                message,
                json!({ "what": what, "queued": queued, "limit": limit, "retryMs": RETRY_MS }),
            ),
            Refused::DiskFull { why, bytes_left } => {
                Self::new(Code::DiskFull, message, json!({ "why": why, "bytesLeft": bytes_left.to_string() }))
            }
            Refused::Standby { leader } => Self::new(Code::Standby, message, json!({ "leader": leader })),
            Refused::Stopping => Self::new(Code::Stopping, message, json!({})),
            Refused::Stopped => Self::new(Code::Unavailable, message, json!({})),
        }
    }
}

/// The engine's refusal in the client's words.
pub(crate) fn rejected(reject: &Reject, signing: Option<&Signing>, terms: Option<Terms>, decimals: u8) -> ApiError {
    let price = |price: Ticks| terms.map(|terms| ratio(price.0.into(), terms.ticks.into()));
    let money = |atoms: Atoms| tokens(atoms.0, decimals);
    let message = reject.to_string();
    let (code, data) = match reject {
        Reject::UnknownAccount { account } => (Code::UnknownAccount, json!({ "account": account.to_string() })),
        Reject::NotAuthorized { account, recovered, expected } => {
            let mut data = match signing {
                Some(signing) => signing.data(Some(*recovered), &[*expected]),
                None => json!({ "recovered": recovered, "expected": [expected] }),
            };
            set(&mut data, "account", json!(account.to_string()));
            (Code::BadSignature, data)
        }
        Reject::UnknownMarket { market } => (Code::UnknownMarket, json!({ "market": market })),
        Reject::MarketClosed { market, event } => {
            (Code::MarketClosed, json!({ "market": market, "event": event, "status": "resolved" }))
        }
        Reject::MarketHalted { market, event } => {
            (Code::MarketClosed, json!({ "market": market, "event": event, "status": "halted" }))
        }
        Reject::OutsideHours { market } => (Code::MarketClosed, json!({ "market": market, "status": "closed" })),
        Reject::MarketPending { market } => (Code::MarketClosed, json!({ "market": market, "status": "pending" })),
        Reject::OnlyPostOnly { market } => (Code::MarketClosed, json!({ "market": market, "status": "post_only" })),
        Reject::OnlyWaiting { market } => (Code::MarketClosed, json!({ "market": market, "status": "auction" })),
        Reject::OnlyReducing { market, position, reducible, why } => {
            let data = json!({
                "market": market, "position": position.to_string(), "reducible": reducible.to_string(), "why": why,
            });
            (Code::OnlyReducing, data)
        }
        Reject::OpenInterestCap { market, open, cap } => {
            let data = json!({
                "what": "open interest", "market": market, "open": open.to_string(), "limit": cap.to_string(),
            });
            (Code::LimitReached, data)
        }
        Reject::BadPrice { price: given, highest, nearest } => {
            let decimal = |ticks: Ticks| ratio(ticks.0.into(), u128::from(highest.0) + 1);
            let data = json!({
                "price": given.to_string(),
                "lowest": "1",
                "highest": highest.to_string(),
                "nearest": [nearest.to_string()],
                "priceDecimal": decimal(*given),
                "lowestDecimal": decimal(Ticks(1)),
                "highestDecimal": decimal(*highest),
                "nearestDecimal": [decimal(*nearest)],
                "tickSize": decimal(Ticks(1)),
            });
            (Code::BadPrice, data)
        }
        Reject::BadSize { size, largest } => {
            let lot = terms.map(|terms| terms.lot_size(decimals));
            let data = json!({
                "size": size.to_string(), "smallest": "1", "largest": largest.to_string(), "lotSize": lot,
            });
            (Code::BadSize, data)
        }
        Reject::NotSmaller { nonce, size, current } => {
            let largest = current.0 - 1;
            let data = json!({
                "nonce": nonce.to_string(), "size": size.to_string(), "smallest": "0", "largest": largest.to_string(),
            });
            (Code::BadSize, data)
        }
        Reject::NonceSpent { nonce, next } => {
            (Code::NonceSpent, json!({ "nonce": nonce.to_string(), "next": next.to_string() }))
        }
        Reject::Expired { expiry, time } => {
            (Code::Expired, json!({ "expiry": expiry.to_string(), "time": time.to_string() }))
        }
        Reject::FeeTooLow { max_fee, required } => {
            (Code::FeeTooLow, json!({ "maxFee": max_fee, "required": required }))
        }
        Reject::UnknownBuilder { builder } => {
            let field = if builder.0 == 0 { "builderFee" } else { "builder" };
            (Code::Unsupported, json!({ "field": field, "builder": builder }))
        }
        Reject::BuilderFeeTooHigh { builder_fee, highest } => {
            (Code::Unsupported, json!({ "field": "builderFee", "got": builder_fee, "highest": highest }))
        }
        Reject::TooManyHoldings { limit } => {
            (Code::LimitReached, json!({ "what": "holdings", "limit": limit.to_string() }))
        }
        Reject::HoldsStalePrice { account } => (Code::OnlyReducing, json!({ "account": account.to_string() })),
        Reject::InsufficientAsset { available, required } => {
            let data = json!({ "available": available.to_string(), "required": required.to_string() });
            (Code::InsufficientFunds, data)
        }
        Reject::ProfitsWait { most } => {
            (Code::LimitReached, json!({ "what": "withdrawal", "limit": most.to_string() }))
        }
        Reject::PoolExhausted { pool } => (Code::LimitReached, json!({ "what": "pool", "limit": pool.to_string() })),
        Reject::NotSameOwner { account, to } => {
            (Code::InvalidRequest, json!({ "field": "to", "account": account.to_string(), "to": to.to_string() }))
        }
        Reject::OpensWithNextFrame { account } => {
            (Code::UnknownAccount, json!({ "account": account.to_string(), "opens": "with the next frame" }))
        }
        Reject::InsufficientFunds { cash, worst_payoff, reserved, available, required } => {
            let data = json!({
                "cash": cash.to_string(),
                "worstPayoff": worst_payoff.to_string(),
                "reserved": reserved.to_string(),
                "available": available.to_string(),
                "required": required.to_string(),
                "decimals": {
                    "cash": money(*cash),
                    "worstPayoff": money(*worst_payoff),
                    "reserved": money(*reserved),
                    "available": money(*available),
                    "required": money(*required),
                },
            });
            (Code::InsufficientFunds, data)
        }
        Reject::PositionLimit { market, limit } => {
            (Code::LimitReached, json!({ "what": "position", "market": market, "limit": limit.to_string() }))
        }
        Reject::TooManyOrders { limit } => {
            (Code::LimitReached, json!({ "what": "resting orders", "limit": limit.to_string() }))
        }
        Reject::TooManyWaiting { limit } => {
            (Code::LimitReached, json!({ "what": "waiting orders", "limit": limit.to_string() }))
        }
        Reject::WouldTrade { price: given, best } => {
            let data = json!({
                "price": given.to_string(), "best": best.to_string(),
                "priceDecimal": price(*given), "bestDecimal": price(*best),
            });
            (Code::WouldTrade, data)
        }
        Reject::NotFillable { size, fillable } => {
            (Code::NotFillable, json!({ "size": size.to_string(), "fillable": fillable.to_string() }))
        }
        Reject::OtherMarket { nonce, market, wanted } => {
            let data = json!({
                "field": "market", "got": wanted.to_string(), "expected": market.to_string(), "nonce": nonce.to_string(),
            });
            (Code::InvalidRequest, data)
        }
        Reject::Rests { nonce } => {
            let data = json!({ "field": "wait", "got": "a wait", "expected": "none", "nonce": nonce.to_string() });
            (Code::InvalidRequest, data)
        }
        Reject::UnknownOrder { account, nonce } => {
            (Code::UnknownOrder, json!({ "account": account.to_string(), "nonce": nonce.to_string() }))
        }
        Reject::BadPlan { fault } => (Code::InvalidRequest, json!({ "field": "plan", "fault": fault })),
        Reject::UnknownToken { token, expected } => {
            (Code::UnknownToken, json!({ "token": token, "expected": expected }))
        }
        Reject::WorthNothing { amount } => {
            (Code::InvalidRequest, json!({ "field": "amount", "got": amount.to_string(), "expected": "more" }))
        }
        Reject::AccountClosed { account } => (Code::UnknownAccount, json!({ "account": account.to_string() })),
        Reject::QueueFull { limit } => {
            (Code::LimitReached, json!({ "what": "keepers' requests", "limit": limit.to_string() }))
        }
        Reject::NotPerpetual { market } => {
            (Code::InvalidRequest, json!({ "field": "market", "got": market.to_string(), "expected": "a perpetual" }))
        }
        Reject::SameOwner { keeper, account } => {
            let data = json!({ "field": "keeper", "keeper": keeper.to_string(), "account": account.to_string() });
            (Code::InvalidRequest, data)
        }
        Reject::IsolatedOnly { keeper, market } => {
            (Code::OnlyReducing, json!({ "account": keeper.to_string(), "market": market }))
        }
        Reject::NotMember { account, venue } => {
            (Code::OnlyReducing, json!({ "account": account.to_string(), "venue": venue }))
        }
        Reject::NotPriced { feed } => (Code::MarketClosed, json!({ "feed": feed, "status": "not priced" })),
        Reject::NothingToLiquidate { account, market } => {
            (Code::NotFillable, json!({ "account": account.to_string(), "market": market }))
        }
        Reject::KeeperLimit { limit, price } => {
            (Code::NotFillable, json!({ "limit": limit.to_string(), "price": price.to_string() }))
        }
        Reject::NotFailing { account, maintenance } => {
            let data = json!({ "account": account.to_string(), "maintenance": maintenance.to_string() });
            (Code::NotFillable, data)
        }
        Reject::NotWholeLastPosition { account, market } => {
            (Code::NotFillable, json!({ "account": account.to_string(), "market": market }))
        }
        Reject::LossAboveCap { market, loss, cap } => {
            let data = json!({ "what": "loss", "market": market, "loss": loss.to_string(), "limit": cap.to_string() });
            (Code::LimitReached, data)
        }
        Reject::KeeperShort { keeper, missing } => {
            (Code::InsufficientFunds, json!({ "account": keeper.to_string(), "missing": missing.to_string() }))
        }
        Reject::OwesNothing { account, usd } => {
            (Code::NotFillable, json!({ "account": account.to_string(), "usd": usd.to_string() }))
        }
        Reject::NothingToConvert { account, asset } => {
            (Code::NotFillable, json!({ "account": account.to_string(), "asset": asset }))
        }
        Reject::ZeroAmount => {
            (Code::InvalidRequest, json!({ "field": "amount", "got": "0", "expected": "at least 1 atom" }))
        }
    };
    ApiError::new(code, message, data)
}

fn set(data: &mut Value, name: &str, value: Value) {
    if let Value::Object(map) = data {
        map.insert(name.into(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xos_types::{AccountId, Lots, MarketId};

    /// A refusal of each kind: serde says which there are, and what one misses.
    fn every_reject() -> Vec<Reject> {
        let values =
            [json!("1"), json!(1), json!(Address::ZERO), json!("phase"), json!({ "fault": "no_index", "market": 1 })];
        let one = |reason: &str| {
            let mut reject = json!({ "reason": reason });
            let (mut missing, mut tried) = (String::new(), values.iter());
            loop {
                let error = match serde_json::from_value::<Reject>(reject.clone()) {
                    Ok(reject) => return reject,
                    Err(error) => error.to_string(),
                };
                if let Some((_, name)) = error.split_once("missing field `") {
                    (missing, tried) = (name.trim_end_matches('`').to_owned(), values.iter());
                }
                reject[&missing] = tried.next().unwrap_or_else(|| panic!("{reason}: {error}")).clone();
            }
        };
        let error = serde_json::from_value::<Reject>(json!({ "reason": "?" })).unwrap_err().to_string();
        error.split('`').skip(3).step_by(2).map(one).collect()
    }

    #[test]
    fn the_data_of_every_refusal_is_what_the_catalogue_says() {
        let rejects = every_reject();
        assert!(rejects.len() > 50, "{rejects:?}");
        for reject in rejects {
            let error = rejected(&reject, None, None, 6);
            let xos_api::Data::Fields(described) = error.name.explained().data else { panic!("{error:?}") };
            for field in error.data.as_object().unwrap().keys() {
                assert!(described.iter().any(|known| known.name == field), "{field} of {reject:?} is not described");
            }
        }
    }

    #[test]
    fn limits_say_which_and_how_much() {
        let position = Reject::PositionLimit { market: MarketId(256), limit: Lots(10) };
        let orders = Reject::TooManyOrders { limit: 200 };
        for (reject, what, limit) in [(position, "position", "10"), (orders, "resting orders", "200")] {
            let error = rejected(&reject, None, None, 6);
            assert_eq!((error.code, &error.data["what"]), (1012, &json!(what)));
            assert_eq!(error.data["limit"], limit);
        }
    }

    #[test]
    fn overload_and_the_end_have_codes_of_their_own() {
        let full = ApiError::from(Refused::Overloaded { what: "commands", queued: 7, limit: 7 });
        assert_eq!((full.code, full.name), (1100, Code::Overloaded));
        assert_eq!(full.data, json!({ "what": "commands", "queued": 7, "limit": 7, "retryMs": RETRY_MS }));
        assert_eq!(ApiError::from(Refused::Stopped).code, 1101);
        assert_eq!(ApiError::from(Refused::Stopping).code, 1103);
    }

    #[test]
    fn a_price_is_explained_in_decimals_and_money_in_tokens() {
        let price = Reject::BadPrice { price: Ticks(1_200), highest: Ticks(999), nearest: Ticks(999) };
        let data = rejected(&price, None, None, 6).data;
        assert_eq!((&data["priceDecimal"], &data["nearestDecimal"]), (&json!("1.2"), &json!(["0.999"])));
        let funds = Reject::InsufficientFunds {
            cash: Atoms(-1_500_000),
            worst_payoff: Atoms(2_000_000),
            reserved: Atoms(0),
            available: Atoms(500_000),
            required: Atoms(500_001),
        };
        let data = rejected(&funds, None, None, 6).data;
        assert_eq!((&data["cash"], &data["decimals"]["cash"]), (&json!("-1500000"), &json!("-1.5")));
        assert_eq!(data["decimals"]["required"], "0.500001");
        let unknown = Reject::UnknownAccount { account: AccountId(4) };
        assert_eq!(rejected(&unknown, None, None, 6).code, 1002);
    }
}
