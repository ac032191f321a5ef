// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "./IRiskGroup.sol";
import {Ledger} from "./Ledger.sol";
import {Account, Grant, GroupState} from "./State.sol";
import {AccountId, SignerGrant, VenueId} from "./Types.sol";

/// @notice Who may act for an account: its owner, or a key that the owner allowed to, within its scope. An isolated
/// account's keys are its parent's.
library Signers {
    /// @notice Names no venue: for what no venue's scope can allow, only a key for every venue will do.
    VenueId internal constant EVERY_VENUE = VenueId.wrap(0);

    function store(GroupState storage s, AccountId id, SignerGrant memory grant) internal {
        s.signers[id][grant.signer] = Grant({
            // casting to 'uint48' is safe because the gateway refuses more
            // forge-lint: disable-next-line(unsafe-typecast)
            expiry: uint48(grant.expiry),
            maxNotional: grant.maxNotional,
            trade: grant.trade,
            withdraw: grant.withdraw,
            venue0: VenueId.unwrap(grant.venues[0]),
            venue1: VenueId.unwrap(grant.venues[1]),
            venue2: VenueId.unwrap(grant.venues[2])
        });
    }

    /// @notice Whether the key may trade on the venue for so much, at that time.
    function mayTrade(GroupState storage s, AccountId id, address signer, VenueId venue, uint256 notional, uint64 time)
        internal
        view
        returns (bool)
    {
        Grant memory grant = s.signers[Ledger.parentOf(id)][signer];
        if (!grant.trade || grant.expiry < time) return false;
        if (grant.maxNotional != 0 && notional > grant.maxNotional) return false;
        uint32 wanted = VenueId.unwrap(venue);
        if (grant.venue0 | grant.venue1 | grant.venue2 == 0) return true;
        return wanted != 0 && (grant.venue0 == wanted || grant.venue1 == wanted || grant.venue2 == wanted);
    }

    /// @notice Whether the key may send money to the owner, at that time.
    function mayWithdraw(GroupState storage s, AccountId id, address signer, uint64 time) internal view returns (bool) {
        Grant memory grant = s.signers[Ledger.parentOf(id)][signer];
        return grant.withdraw && grant.expiry >= time;
    }

    /// @notice The nonce is not below the account's floor, and the account is not closed.
    function requireAboveFloor(AccountId id, uint64 nonce, uint64 floor) internal pure {
        if (nonce < floor || floor == Ledger.CLOSED) revert IRiskGroup.NonceBelowFloor(id, nonce, floor);
    }

    /// @notice A message that happens once is in time and its nonce not below the account's floor.
    function requireCurrent(GroupState storage s, AccountId id, uint64 nonce, uint64 expiry, uint64 time)
        internal
        view
    {
        Account storage account = s.accounts[id];
        requireAboveFloor(id, nonce, account.nonceFloor);
        if (expiry != 0 && time > expiry) revert IRiskGroup.MessageExpired(id, nonce, expiry, time);
    }

    /// @notice A keeper's message: in time, and signed by someone who may trade for it.
    function requireKeeper(
        GroupState storage s,
        AccountId keeper,
        uint64 nonce,
        uint64 expiry,
        uint64 time,
        address signer,
        VenueId venue
    ) internal view {
        requireCurrent(s, keeper, nonce, expiry, time);
        address owner = Ledger.ownerOf(s, keeper);
        // The value of what a keeper takes is known when it is taken, so a key with a limit on it cannot sign for one.
        if (signer != owner && !mayTrade(s, keeper, signer, venue, type(uint256).max, time)) {
            revert IRiskGroup.MessageSignedByAnother(keeper, nonce, owner, signer);
        }
    }
}
