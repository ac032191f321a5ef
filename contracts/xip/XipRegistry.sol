// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Governed} from "./Governed.sol";
import {XipNumber, XipStatus} from "./XipTypes.sol";

/// @notice A procedure that XIPs go through: the vote for Standards XIPs, the notice period for Venue XIPs.
interface IXipProcedure {
    function statusOf(XipNumber number) external view returns (XipStatus);
}

/// @title All XIPs, in one sequence
/// @notice It numbers XIPs and says where each stands; what they say and do is their procedure's.
contract XipRegistry is Governed {
    using SafeCast for uint256;

    /// @param procedure The contract that it goes through.
    /// @param filed When it was numbered, unix seconds.
    /// @param content Hash of what it says, as its procedure defines it.
    struct Entry {
        address author;
        uint64 filed;
        IXipProcedure procedure;
        bytes32 content;
    }

    Entry[] private _entries;
    mapping(IXipProcedure => bool) public isProcedure;

    event Filed(
        XipNumber indexed number, address indexed author, IXipProcedure indexed procedure, bytes32 content, string uri
    );
    event ProcedureSet(IXipProcedure indexed procedure, bool admitted);

    error NotProcedure(address caller);
    error NoSuchXip(XipNumber number);

    constructor(address governance_, IXipProcedure[] memory procedures) Governed(governance_) {
        for (uint256 i = 0; i < procedures.length; ++i) {
            _setProcedure(procedures[i], true);
        }
    }

    /// @notice Numbers a XIP. Procedures only.
    /// @param uri Where its text is.
    function file(address author, bytes32 content, string calldata uri) external returns (XipNumber number) {
        if (!isProcedure[IXipProcedure(msg.sender)]) revert NotProcedure(msg.sender);
        _entries.push(Entry(author, block.timestamp.toUint64(), IXipProcedure(msg.sender), content));
        number = XipNumber.wrap(_entries.length.toUint64());
        emit Filed(number, author, IXipProcedure(msg.sender), content, uri);
    }

    /// @notice Admits a procedure, or ends that it files new XIPs; those that it has filed it carries on. Governance only.
    function setProcedure(IXipProcedure procedure, bool admitted) external onlyGovernance {
        _setProcedure(procedure, admitted);
    }

    function _setProcedure(IXipProcedure procedure, bool admitted) private {
        isProcedure[procedure] = admitted;
        emit ProcedureSet(procedure, admitted);
    }

    /// @notice How many XIPs there are; they are numbered from 1.
    function count() external view returns (uint256) {
        return _entries.length;
    }

    function entry(XipNumber number) public view returns (Entry memory) {
        uint256 index = XipNumber.unwrap(number);
        if (index == 0 || index > _entries.length) revert NoSuchXip(number);
        return _entries[index - 1];
    }

    function status(XipNumber number) public view returns (XipStatus) {
        // A page asks as many as its caller wants.
        // slither-disable-next-line calls-loop
        return entry(number).procedure.statusOf(number);
    }

    /// @notice Entries and statuses from `first` on, at most `most` of them: what a page of XIPs shows.
    function list(XipNumber first, uint256 most)
        external
        view
        returns (Entry[] memory entries, XipStatus[] memory statuses)
    {
        uint256 start = XipNumber.unwrap(first);
        if (start == 0) revert NoSuchXip(first);
        uint256 end = start - 1 + most;
        if (end > _entries.length) end = _entries.length;
        uint256 length = end < start ? 0 : end - start + 1;
        (entries, statuses) = (new Entry[](length), new XipStatus[](length));
        for (uint256 i = 0; i < length; ++i) {
            XipNumber number = XipNumber.wrap((start + i).toUint64());
            (entries[i], statuses[i]) = (entry(number), status(number));
        }
    }
}
