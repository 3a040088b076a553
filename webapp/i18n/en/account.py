"""Signing in and invitations."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    # Signing in
    "signin.title": "Sign in",
    "signin.lead": "For the organizers of {tenant}.",
    "signin.email": "E-mail address",
    "signin.password": "Password",
    "signin.button": "Sign in",
    "signin.wrong": "This address and password do not belong together. Check both and try again.",
    "signin.often": "There were too many attempts. Please wait {minutes} minutes and try again.",
    "signin.help": "No account yet, or locked out? Ask whoever runs this platform for an invitation.",
    "signout": "Sign out",
    # The invitation
    "invite.title": "Welcome to {tenant}",
    "invite.page": "Create your account",
    "invite.lead": "Create your organizer’s account. This link works once.",
    "invite.name": "Your name",
    "invite.email": "E-mail address",
    "invite.email.hint": "You will sign in with it.",
    "invite.password": "Password",
    "invite.password.hint": "At least 10 characters. A few random words make a good one.",
    "invite.button": "Create account",
    "invite.reset.lead": "You already have an account. Choose a new password; every browser that is signed in "
    "will be signed out.",
    "invite.reset.button": "Set password",
    "invite.gone.title": "This invitation no longer works",
    "invite.gone.text": "It was used already, or it is older than seven days. Ask for a new one where you got it.",
    "invite.often": "There were too many attempts. Please wait {minutes} minutes and try again.",
}
