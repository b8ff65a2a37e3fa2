"""The choice lists an instance comes with."""

from __future__ import annotations

from typing import Final

_YES_NO_IMPACT: Final = {"1": "1 - High", "2": "2 - Medium", "3": "3 - Low"}
_INCIDENT_STATES: Final = {
    "1": "New",
    "2": "In Progress",
    "3": "On Hold",
    "6": "Resolved",
    "7": "Closed",
    "8": "Canceled",
}
_PROBLEM_STATES: Final = {
    "101": "New",
    "102": "Assess",
    "103": "Root Cause Analysis",
    "104": "Fix in Progress",
    "106": "Resolved",
    "107": "Closed",
}

CHOICES: Final[dict[tuple[str, str], dict[str, str]]] = {
    ("task", "impact"): _YES_NO_IMPACT,
    ("task", "urgency"): _YES_NO_IMPACT,
    ("task", "priority"): {
        "1": "1 - Critical",
        "2": "2 - High",
        "3": "3 - Moderate",
        "4": "4 - Low",
        "5": "5 - Planning",
    },
    ("task", "contact_type"): {
        "email": "Email",
        "phone": "Phone",
        "self-service": "Self-service",
        "integration": "Integration",
    },
    ("task", "approval"): {
        "not requested": "Not Yet Requested",
        "requested": "Requested",
        "approved": "Approved",
        "rejected": "Rejected",
    },
    ("incident", "state"): _INCIDENT_STATES,
    ("incident", "incident_state"): _INCIDENT_STATES,
    ("incident", "severity"): _YES_NO_IMPACT,
    ("incident", "notify"): {"1": "Do Not Notify", "2": "Send Email", "3": "Phone"},
    ("incident", "hold_reason"): {
        "1": "Awaiting Caller",
        "5": "Awaiting Change",
        "3": "Awaiting Problem",
        "4": "Awaiting Vendor",
    },
    ("incident", "category"): {
        "inquiry": "Inquiry / Help",
        "software": "Software",
        "hardware": "Hardware",
        "network": "Network",
        "database": "Database",
    },
    ("incident", "close_code"): {
        "Solved (Work Around)": "Solved (Work Around)",
        "Solved (Permanently)": "Solved (Permanently)",
        "Not Solved (Not Reproducible)": "Not Solved (Not Reproducible)",
        "Closed/Resolved by Caller": "Closed/Resolved by Caller",
    },
    ("problem", "state"): _PROBLEM_STATES,
    ("problem", "problem_state"): _PROBLEM_STATES,
    ("problem", "category"): {
        "software": "Software",
        "hardware": "Hardware",
        "network": "Network",
    },
    ("problem", "resolution_code"): {
        "fix_applied": "Fix Applied",
        "risk_accepted": "Risk Accepted",
        "duplicate": "Duplicate",
        "canceled": "Canceled",
    },
    ("change_request", "state"): {
        "-5": "New",
        "-4": "Assess",
        "-3": "Authorize",
        "-2": "Scheduled",
        "-1": "Implement",
        "0": "Review",
        "3": "Closed",
        "4": "Canceled",
    },
    ("change_request", "type"): {
        "standard": "Standard",
        "normal": "Normal",
        "emergency": "Emergency",
    },
    ("change_request", "risk"): {"2": "High", "3": "Moderate", "4": "Low"},
    ("change_request", "category"): {
        "Hardware": "Hardware",
        "Software": "Software",
        "Network": "Network",
        "Other": "Other",
    },
    ("change_request", "close_code"): {
        "successful": "Successful",
        "successful_issues": "Successful with issues",
        "unsuccessful": "Unsuccessful",
    },
    ("sn_customerservice_case", "state"): {
        "1": "New",
        "10": "Open",
        "18": "Awaiting Info",
        "6": "Resolved",
        "3": "Closed",
        "7": "Cancelled",
    },
    ("sn_customerservice_case", "category"): {
        "0": "Question",
        "1": "Issue",
        "2": "Feature",
    },
    ("sn_customerservice_case", "resolution_code"): {
        "0": "Solved - Fixed by Support/Guidance provided",
        "1": "Solved - Workaround provided",
        "2": "Not Solved - Not Reproducible",
    },
}
CLOSED: Final = {
    "incident": frozenset({"7", "8"}),
    "problem": frozenset({"107"}),
    "change_request": frozenset({"3", "4"}),
    "sn_customerservice_case": frozenset({"3", "7"}),
}
"""The states in which a record is not active any more."""
RESOLVED: Final = {
    "incident": "6",
    "problem": "106",
    "sn_customerservice_case": "6",
}
TWINS: Final = {"incident": "incident_state", "problem": "problem_state"}
"""A second column that holds the state as well."""
PRIORITIES: Final = {
    ("1", "1"): "1",
    ("1", "2"): "2",
    ("1", "3"): "3",
    ("2", "1"): "2",
    ("2", "2"): "3",
    ("2", "3"): "4",
    ("3", "1"): "3",
    ("3", "2"): "4",
    ("3", "3"): "5",
}
"""Impact and urgency to priority."""
