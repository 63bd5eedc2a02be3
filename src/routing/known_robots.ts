/** The text in a service's wake exceptions that stands for all {@linkcode ROBOTS}. */
export const KNOWN_ROBOTS = "known-robots";

/** What a robot is: see {@linkcode ROBOT_KINDS}. */
export type RobotKind = keyof typeof ROBOT_KINDS;

/** A robot that is known by its `User-Agent`. */
export interface Robot {
  /** The part of the `User-Agent` that tells it apart, without regard to case. */
  readonly token: string;
  readonly kind: RobotKind;
  readonly operator: string;
}

/** What the kinds of robots do. */
export const ROBOT_KINDS = {
  search: "reads pages for a search engine or an archive",
  ai: "reads pages for an AI model, or for somebody who asks one",
  preview: "reads a page that somebody has linked to, to show a preview",
  monitor: "asks again and again whether a site is up",
  seo: "reads pages for reports to those who run or advertise on sites",
  scan: "looks at every host of the internet",
} as const;

/** Where the tokens are from. */
export const ROBOTS_SOURCE = {
  /** Its 1500 patterns were read in this version, and each token below occurs in at least one of its examples. */
  url: "https://github.com/monperrus/crawler-user-agents",
  version: "1.60.0",
  /** When that version was published. */
  date: "2026-08-10",
} as const;

/*
 * This is a choice, since the source also has whatever else is not a browser: libraries and tools such as curl, which
 * are the clients of APIs; the senders of webhooks such as Stripe, Zapier and Slack ("Slackbot 1.0" sends commands);
 * readers of feeds; and tests that somebody starts and waits for. All these must wake a service. A token must be in no
 * `User-Agent` of a browser, and in none of the browsers inside of apps: so `Pinterestbot`, and not `Pinterest`.
 */
const TOKENS: Readonly<Record<RobotKind, Readonly<Record<string, readonly string[]>>>> = {
  search: {
    "360": ["360Spider"],
    "Amazon": ["Amazonbot"],
    "Apple": ["Applebot"],
    "Baidu": ["Baiduspider"],
    "Brave": ["Bravebot"],
    "ByteDance": ["ToutiaoSpider"],
    "Cốc Cốc": ["coccocbot"],
    "Daum": ["Daumoa"],
    "DuckDuckGo": ["DuckDuckBot", "DuckDuckGo-Favicons-Bot"],
    "Google": [
      "Googlebot",
      "Google-InspectionTool",
      "Google-Safety",
      "GoogleOther",
      "Storebot-Google",
      "AdsBot-Google",
      "Mediapartners-Google",
    ],
    "Huawei": ["PetalBot"],
    "Ibou": ["IbouBot"],
    "Internet Archive": ["archive.org_bot", "heritrix"],
    "Mail.ru": ["Mail.RU_Bot"],
    "Marginalia": ["search.marginalia.nu"],
    "Microsoft": ["bingbot", "adidxbot", "msnbot"],
    "Mojeek": ["MojeekBot"],
    "Naver": ["Yeti/"],
    "Qwant": ["Qwantbot", "Qwantify"],
    "Seekport": ["SeekportBot"],
    "Seznam": ["SeznamBot"],
    "Shenma": ["YisouSpider"],
    "Sogou": ["Sogou web spider", "Sogou News Spider"],
    "Swisscows": ["Swisscows"],
    "Yahoo": ["Yahoo! Slurp"],
    "Yandex": ["yandex.com/bots"],
  },
  ai: {
    "Allen Institute for AI": ["AI2Bot"],
    "Amazon": ["Amzn-SearchBot", "Amzn-User"],
    "Anthropic": ["ClaudeBot", "Claude-SearchBot", "Claude-User", "Claude-Web"],
    "ByteDance": ["Bytespider", "TikTokSpider"],
    "Cohere": ["cohere-ai", "cohere-training-data-crawler"],
    "Common Crawl": ["CCBot"],
    "DeepSeek": ["DeepSeekBot"],
    "Diffbot": ["Diffbot"],
    "DuckDuckGo": ["DuckAssistBot"],
    "Firecrawl": ["FirecrawlAgent"],
    "Google": ["Google-CloudVertexBot", "Google-NotebookLM", "Gemini-Deep-Research"],
    "Hive": ["ImagesiftBot"],
    "Huawei": ["PanguBot"],
    "Kagi": ["Kagibot"],
    "Liner": ["LinerBot"],
    "Meta": ["meta-externalagent", "meta-externalfetcher", "meta-webindexer", "FacebookBot"],
    "Mistral AI": ["MistralAI-User"],
    "OpenAI": ["GPTBot", "OAI-SearchBot", "ChatGPT-User"],
    "Perplexity": ["PerplexityBot", "Perplexity-User"],
    "Phind": ["PhindBot"],
    "Timpi": ["Timpibot"],
    "Webz.io": ["omgili"],
    "You.com": ["YouBot"],
  },
  preview: {
    "Bitly": ["bitlybot"],
    "Discord": ["Discordbot"],
    "Embedly": ["Embedly"],
    "Iframely": ["Iframely"],
    "LINE": ["Linespider"],
    "LinkedIn": ["LinkedInBot"],
    "Matrix": ["Synapse (bot"],
    "Meta": ["facebookexternalhit", "Facebot", "WhatsApp/"],
    "Microsoft": ["BingPreview", "MicrosoftPreview", "SkypeUriPreview"],
    "Odnoklassniki": ["OdklBot"],
    "Pinterest": ["Pinterestbot", "Pinterest/0."],
    "Reddit": ["redditbot"],
    "Slack": ["Slackbot-LinkExpanding", "Slack-ImgProxy"],
    "Snap": ["Snap URL Preview Service"],
    "Telegram": ["TelegramBot"],
    "VK": ["vkShare"],
    "X": ["Twitterbot"],
  },
  monitor: {
    "Automattic": ["jetmon"],
    "Better Stack": ["Better Uptime Bot"],
    "Checkly": ["Checkly"],
    "Cloudflare": ["Cloudflare-Healthchecks", "Cloudflare-Traffic-Manager"],
    "Datadog": ["Datadog Synthetic", "DatadogSynthetics"],
    "Dotcom-Monitor": ["Dotcom-Monitor"],
    "Freshworks": ["FreshpingBot"],
    "Google": ["GoogleStackdriverMonitoring"],
    "HetrixTools": ["HetrixTools"],
    "Hydrozen": ["Hydrozen.io"],
    "Montastic": ["Montastic"],
    "Nagios": ["check_http"],
    "NodePing": ["NodePing"],
    "Oh Dear": ["OhDear"],
    "OnlineOrNot": ["OnlineOrNot"],
    "Paessler": ["PRTG"],
    "Prometheus": ["Blackbox Exporter"],
    "Pulsetic": ["pulsetic.com"],
    "Sentry": ["SentryUptimeBot"],
    "Site24x7": ["Site24x7"],
    "SolarWinds": ["Pingdom.com_bot", "PingdomPageSpeed"],
    "StatusCake": ["StatusCake"],
    "updown.io": ["updown.io"],
    "Uptime Kuma": ["Uptime-Kuma"],
    "Uptime.com": ["compatible; Uptime/"],
    "UptimeRobot": ["UptimeRobot"],
    "Uptimia": ["Uptimia"],
    "Uptrends": ["Uptrends"],
    "Wormly": ["WormlyBot"],
    "Zabbix": ["Zabbix"],
  },
  seo: {
    "Ahrefs": ["AhrefsBot", "AhrefsSiteAudit"],
    "Awario": ["AwarioBot", "AwarioSmartBot"],
    "Babbar": ["Barkrowler"],
    "Botify": ["compatible; botify"],
    "Brandwatch": ["magpie-crawler"],
    "Criteo": ["CriteoBot"],
    "DataForSEO": ["DataForSeoBot"],
    "Dataprovider": ["Dataprovider.com"],
    "Domain Stats": ["DomainStatsBot"],
    "Hubspot": ["HubSpot Crawler"],
    "Linkdex": ["linkdexbot"],
    "Linkfluence": ["linkfluence.com"],
    "Majestic": ["MJ12bot"],
    "Mediatoolkit": ["Mediatoolkitbot"],
    "Moz": ["DotBot", "rogerbot"],
    "Oracle": ["GrapeshotCrawler"],
    "Ryte": ["RyteBot"],
    "SE Ranking": ["SERankingBacklinksBot"],
    "Screaming Frog": ["Screaming Frog SEO Spider"],
    "Semrush": ["SemrushBot", "SiteAuditBot"],
    "Seobility": ["SeobilityBot"],
    "SEOkicks": ["SEOkicks"],
    "Serpstat": ["serpstatbot"],
    "SISTRIX": ["SISTRIX Crawler"],
    "Sitebulb": ["Sitebulb"],
    "Talkwalker": ["trendictionbot"],
    "WebMeUp": ["BLEXBot"],
    "XOVI": ["XoviBot"],
    "ZoomInfo": ["ZoominfoBot"],
  },
  scan: {
    "BitSight": ["BitSightBot"],
    "Censys": ["CensysInspect"],
    "driftnet.io": ["InternetMeasurement"],
    "LeakIX": ["l9explore"],
    "Netcraft": ["NetcraftSurveyAgent"],
    "NetSystems Research": ["NetSystemsResearch"],
    "Palo Alto Networks": ["Expanse, a Palo Alto Networks company"],
    "ZMap": ["zgrab/"],
  },
};

/** The robots that cless knows, by kind and operator. */
export const ROBOTS: readonly Robot[] = (Object.keys(TOKENS) as RobotKind[]).flatMap((kind) =>
  Object.entries(TOKENS[kind]).flatMap(([operator, tokens]) => tokens.map((token) => ({ token, kind, operator })))
);

/** One expression for all robots; compiled at its first use, since most programs never use it. */
let pattern: RegExp | undefined;

/** Whether a `User-Agent` is one of {@linkcode ROBOTS}, by what it says of itself. */
export function isKnownRobot(userAgent: string): boolean {
  pattern ??= new RegExp(ROBOTS.map(({ token }) => RegExp.escape(token)).join("|"), "i");
  return pattern.test(userAgent);
}
