import { assert, assertEquals, assertMatch } from "@std/assert";
import { isKnownRobot, ROBOT_KINDS, ROBOTS, ROBOTS_SOURCE } from "../../src/routing/known_robots.ts";

const CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0";
const IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148";

Deno.test("robots are recognized as they introduce themselves, also inside of the text of a browser", () => {
  const robots = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    `Mozilla/5.0 ${CHROME} (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Safari/537.36`,
    "Mozilla/5.0 (compatible; YandexImages/3.0; +http://yandex.com/bots)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.3; +https://openai.com/gptbot)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)",
    "CCBot/2.0 (https://commoncrawl.org/faq/)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "TelegramBot (like TwitterBot)",
    "Synapse (bot; +https://github.com/matrix-org/synapse)",
    "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
    "Mozilla/5.0 (compatible; Uptime/1.0; http://uptime.com)",
    "Uptime-Kuma/1.23.16",
    "check_http/v2.4.9 (nagios-plugins 2.4.9)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "MOZILLA/5.0 (COMPATIBLE; SEMRUSHBOT/7~BL; +HTTP://WWW.SEMRUSH.COM/BOT.HTML)",
    "Mozilla/5.0 (compatible; CensysInspect/1.1; +https://about.censys.io/)",
  ];
  for (const name of robots) assert(isKnownRobot(name), name);
});

Deno.test("browsers, also those inside of apps, clients of APIs, webhooks and feed readers are no robots", () => {
  const others = [
    `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${CHROME} Safari/537.36 Edg/138.0.0.0`,
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
    `Mozilla/5.0 (Linux; Android 14) ${CHROME} Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/520.0.0.0;]`,
    `${IPHONE} Instagram 390.0.0.0`,
    `${IPHONE} [Pinterest/iOS]`,
    `${IPHONE} Snapchat/13.40`,
    `${IPHONE} [LinkedInApp]/9.30`,
    `Mozilla/5.0 (Linux; Android 14) ${CHROME} Mobile Safari/537.36 Line/14.5.0 SogouMobileBrowser/6 Viber/20`,
    `Mozilla/5.0 (Windows NT 10.0) coc_coc_browser/120 ${CHROME} YaBrowser/25.6 Yowser/2.5 DuckDuckGo/5 360SE`,
    `Mozilla/5.0 (X11; Linux x86_64) ${CHROME} HeadlessChrome/138.0 Safari/537.36 Chrome-Lighthouse`,
    ...[
      "curl/8.5.0",
      "Wget/1.21.4",
      "python-requests/2.32",
      "Go-http-client/2.0",
      "okhttp/4.12.0",
      "node",
      "axios/1.7",
    ],
    ...[
      "GitHub-Hookshot/1a2b3c",
      "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
      "Zapier",
      "Discord-Interactions/1.0",
    ],
    ...["Slackbot 1.0 (+https://api.slack.com/robots)", "Mastodon/4.3.0 (http.rb/5.2.0; +https://mastodon.example/)"],
    ...[
      "Feedly/1.0 (poller)",
      "Synapse/1.120.0",
      "APIs-Google (+https://developers.google.com/webmasters/APIs-Google.html)",
    ],
    ...["known-robots", ""],
  ];
  for (const name of others) assert(!isKnownRobot(name), name);
});

Deno.test("every token is needed, is printable, and belongs to a kind that is explained", () => {
  const tokens = ROBOTS.map(({ token }) => token.toLowerCase());
  for (const { token, kind, operator } of ROBOTS) {
    assertMatch(token, /^[ -~]{4,}$/);
    assert(Object.hasOwn(ROBOT_KINDS, kind) && operator.length > 0, token);
    assertEquals(tokens.filter((other) => token.toLowerCase().includes(other)), [token.toLowerCase()]);
  }
  assertEquals(new Set(ROBOTS.map(({ kind }) => kind)).size, Object.keys(ROBOT_KINDS).length);
  assertMatch(ROBOTS_SOURCE.date, /^\d{4}-\d\d-\d\d$/);
});
