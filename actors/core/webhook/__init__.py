"""Webhooks: how those that go out are signed and what they say, how those that come in are proven.

signature    Standard Webhooks: sign, and the secrets of both directions
inbound      the schemes of senders: what proves a request, and which delivery it is
body         what an event looks like outside: CloudEvents, Slack, a template
delivery     when a delivery is tried again, and when it is given up
"""
