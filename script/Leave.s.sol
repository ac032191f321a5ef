// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MarketId} from "../contracts/group/Types.sol";
import {Listings} from "../contracts/venue/Listings.sol";
import {VenueNumber} from "../contracts/venue/VenueTypes.sol";
import {Broadcaster} from "./Broadcaster.sol";

/// @notice Ends a venue, in the order in which that is possible.
///
///     forge script script/Leave.s.sol --sig 'announce(uint32,uint32)' <venue> <market> --rpc-url … --broadcast
///     … --sig 'delist(uint32,uint32)' …, --sig 'free(uint32,uint32)' …, --sig 'close(uint32)' <venue>
///
/// Markets are numbered as `xos markets` shows them. Of an event it is the first of its markets, and it needs neither an
/// announcement nor a delisting: its resolution ends it. Afterwards script/Stake.s.sol takes the stake back.
contract Leave is Broadcaster {
    /// @notice From now on a spot market or a perpetual only reduces; when the notice is over it can be delisted.
    function announce(uint32 venue, uint32 market) external {
        startBroadcast();
        listings().announceDelisting(VenueNumber.wrap(venue), MarketId.wrap(market));
        vm.stopBroadcast();
    }

    /// @notice Cancels a market's orders and settles its positions at the index price, after the notice. Anyone may.
    function delist(uint32 venue, uint32 market) external {
        startBroadcast();
        listings().delist(VenueNumber.wrap(venue), MarketId.wrap(market));
        vm.stopBroadcast();
    }

    /// @notice Gives back the slot of a market whose end a batch has settled. Anyone may.
    function free(uint32 venue, uint32 market) external {
        startBroadcast();
        listings().freeSlot(VenueNumber.wrap(venue), MarketId.wrap(market));
        vm.stopBroadcast();
    }

    /// @notice Closes a venue that has no slot taken.
    function close(uint32 venue) external {
        startBroadcast();
        venueRegistry().closeVenue(VenueNumber.wrap(venue));
        vm.stopBroadcast();
    }

    function listings() private view returns (Listings) {
        return Listings(coreContract("listings"));
    }
}
