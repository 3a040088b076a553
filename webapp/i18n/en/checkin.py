"""At the door."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    "checkin.title": "Check-in",
    "checkin.noscript": "This page needs JavaScript: it reads tickets with the camera.",
    "checkin.signin.text": "This device is not signed in. An organizer shows a code under “Devices and tokens”: point "
    "this phone’s camera at it, or paste its address here.",
    "checkin.signin.code": "Address or code",
    "checkin.signin.button": "Sign in this device",
    "checkin.lists": "Which door is this?",
    "checkin.lists.none": "There is no list for this device at the moment.",
    "checkin.change": "Another list",
    "checkin.camera": "What the camera sees",
    "checkin.type": "Or type the ticket’s code",
    "checkin.type.button": "Check",
    "checkin.answer.offline": "Without network: decided by this device’s list.",
    "checkin.answer.go": "Let in",
    "checkin.answer.cancel": "Not now",
    "checkin.answer.next": "Next",
    "checkin.answer.undo": "Undo",
    # Said by the scripts; %name% and the like are filled in there
    "checkin.enrol.gone": "This code was used or is too old. Ask for a new one.",
    "checkin.enrol.offline": "There is no network. Signing in needs it once.",
    "checkin.enrol.wrong": "This is no address or code of a device. Copy all of it.",
    "checkin.signed.out": "This device was signed out. Its guest lists are erased; scans that wait stay here, and are "
    "sent once it is signed in again.",
    "checkin.storage": "This browser keeps nothing for this page, perhaps because its window is private. A door must "
    "remember what it did: open the page in an ordinary window.",
    "checkin.camera.tls": "The camera works over https only, and this page came without it. Type the codes instead.",
    "checkin.camera.none": "This device has no camera that a browser may use. Type the codes instead.",
    "checkin.camera.refused": "The browser may not use the camera. Allow it in the browser’s settings for this site, "
    "or type the codes.",
    "checkin.queue.none": "Everything is sent.",
    "checkin.queue.some": "Waiting to be sent: %count%",
    "checkin.offline": "No network.",
    "checkin.doubts": "%count% of the scans made without network contradict others; organizers see them marked.",
    "checkin.count": "%inside% of %expected%",
    "checkin.when": "%at%",
    "checkin.when.where": "%at%, %gate%",
    "checkin.undo.offline": "No network: it cannot be undone now.",
    "checkin.result.in": "Come in, %name%",
    "checkin.result.already_redeemed": "Already in",
    "checkin.result.unknown_ticket": "Unknown ticket",
    "checkin.result.cancelled": "Cancelled",
    "checkin.result.unpaid": "Not paid",
    "checkin.result.wrong_list": "Another door",
    "checkin.result.too_early": "Too early",
    "checkin.result.incomplete": "First a question",
    "checkin.result.foreign": "Not a ticket of ours",
    "checkin.result.not_found": "This list is gone",
    "checkin.result.failed": "That did not work. Try again.",
}
