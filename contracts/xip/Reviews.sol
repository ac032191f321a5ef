// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Governed} from "./Governed.sol";

/// @title Components that governance has reviewed
/// @notice Price sources, resolvers and compliance rules that shared groups may rely on. A mark is for the code that was
/// there when it was given: an address with other code has none.
contract Reviews is Governed {
    struct Review {
        bytes32 codeHash;
        bytes32 report;
        uint64 time;
    }

    mapping(address component => Review) private _reviews;

    event Reviewed(address indexed component, bytes32 codeHash, bytes32 report);

    error NotAContract(address component);
    error NotReviewed(address component);

    constructor(address governance_) Governed(governance_) {}

    /// @notice Marks a component as reviewed; with an empty report it is no longer.
    /// @param report Hash of the review.
    function mark(address component, bytes32 report) external onlyGovernance {
        if (component.code.length == 0) revert NotAContract(component);
        _reviews[component] = Review(component.codehash, report, uint64(block.timestamp));
        emit Reviewed(component, component.codehash, report);
    }

    function isReviewed(address component) public view returns (bool) {
        Review memory review = _reviews[component];
        // slither-disable-next-line incorrect-equality
        return review.report != 0 && review.codeHash == component.codehash;
    }

    function requireReviewed(address component) external view {
        if (!isReviewed(component)) revert NotReviewed(component);
    }

    function reviewOf(address component) external view returns (Review memory) {
        return _reviews[component];
    }
}
