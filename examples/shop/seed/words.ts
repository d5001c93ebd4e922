/** A kind of goods: customers have a taste for it, and what lies in one basket is mostly of one kind. */
export interface Category {
  readonly name: string;
  readonly nouns: readonly [string, ...string[]];
  /** The median price in pounds. */
  readonly price: number;
  /** How readily a product is bought again, 0 to 1: candles burn down, clocks do not. */
  readonly repeat: number;
  /** Months (January is 1) in which the kind sells; it hardly sells in the others. Empty: all year. */
  readonly season: readonly number[];
}

export const CATEGORIES: readonly [Category, ...Category[]] = [
  {
    name: 'kitchen',
    nouns: [
      'BUTTER DISH',
      'EGG TIMER',
      'ROLLING PIN',
      'TEA CADDY',
      'MIXING BOWL',
      'SPICE RACK',
      'PIE FUNNEL',
      'TRIVET',
    ],
    price: 3.2,
    repeat: 0.5,
    season: [],
  },
  {
    name: 'candles',
    nouns: [
      'PILLAR CANDLE',
      'VOTIVE GLASS',
      'TAPER HOLDER',
      'SCENTED WAX',
      'OIL BURNER',
      'NIGHTLIGHT BOX',
      'WICK TRIMMER',
    ],
    price: 1.6,
    repeat: 0.95,
    season: [],
  },
  {
    name: 'stationery',
    nouns: [
      'POCKET DIARY',
      'PENCIL TIN',
      'RIBBON REEL',
      'LETTER RACK',
      'INK STAMP',
      'SKETCH PAD',
      'GIFT WRAP ROLL',
      'STICKER SHEET',
    ],
    price: 0.9,
    repeat: 0.9,
    season: [],
  },
  {
    name: 'garden',
    nouns: [
      'SEED TRAY',
      'WATERING CAN',
      'PLANT LABEL',
      'BIRD BATH',
      'TWINE BALL',
      'HERB POT',
      'KNEELING MAT',
    ],
    price: 4.1,
    repeat: 0.4,
    season: [3, 4, 5, 6, 7, 8],
  },
  {
    name: 'christmas',
    nouns: [
      'BAUBLE',
      'TREE SKIRT',
      'ADVENT HOUSE',
      'FELT ROBIN',
      'WREATH HOOK',
      'SLEIGH BELL',
      'STOCKING',
      'ICICLE STRING',
    ],
    price: 1.9,
    repeat: 0.7,
    season: [9, 10, 11, 12],
  },
  {
    name: 'bags',
    nouns: ['SHOPPER', 'WASH BAG', 'LUNCH SACK', 'COIN PURSE', 'DRAWSTRING POUCH', 'PICNIC TOTE', 'PEG BAG'],
    price: 1.9,
    repeat: 0.8,
    season: [],
  },
  {
    name: 'toys',
    nouns: [
      'SKITTLES',
      'SPINNING TOP',
      'YO-YO',
      'FINGER PUPPET',
      'WOODEN TRAIN',
      'SKIPPING ROPE',
      'MARBLE JAR',
      'KITE',
    ],
    price: 2.4,
    repeat: 0.5,
    season: [],
  },
  {
    name: 'jewellery',
    nouns: [
      'BEAD BRACELET',
      'HAT PIN',
      'LOCKET',
      'SHELL EARRINGS',
      'TRINKET BOX',
      'HAIR COMB',
      'CHARM CHAIN',
    ],
    price: 3.6,
    repeat: 0.3,
    season: [],
  },
  {
    name: 'lighting',
    nouns: [
      'DESK LAMP',
      'FAIRY LIGHT STRING',
      'STORM LANTERN',
      'PAPER SHADE',
      'WALL SCONCE',
      'CHANDELIER DROP',
    ],
    price: 6.5,
    repeat: 0.3,
    season: [],
  },
  {
    name: 'textiles',
    nouns: ['TEA TOWEL', 'BOLSTER', 'QUILTED THROW', 'OVEN GLOVE', 'DOORSTOP', 'TABLE RUNNER', 'NAPKIN'],
    price: 4.8,
    repeat: 0.6,
    season: [],
  },
  {
    name: 'party',
    nouns: [
      'PAPER PLATES',
      'BUNTING',
      'PARTY HORN',
      'CUPCAKE CASES',
      'PAPER STRAWS',
      'CAKE STAND',
      'BALLOON PACK',
    ],
    price: 1.1,
    repeat: 0.95,
    season: [],
  },
  {
    name: 'decoration',
    nouns: [
      'ENAMEL SIGN',
      'PICTURE FRAME',
      'MANTEL CLOCK',
      'COAT HOOK',
      'WICKER HEART',
      'GLASS DOME',
      'WALL MIRROR',
      'BUD VASE',
    ],
    price: 5.2,
    repeat: 0.35,
    season: [],
  },
];

/** A pattern goes through all kinds of goods: what shares it is bought together. */
export const PATTERNS: readonly [string, ...string[]] = [
  'HARBOUR STRIPE',
  'MOSS GREEN',
  'PAPER BOAT',
  'FOXGLOVE',
  'BLUE WILLOWHERB',
  'OLD MAP',
  'TWO SPARROWS',
  'LEMON GROVE',
  'CORAL DOT',
  'MIDNIGHT STAR',
  'OATMEAL',
  'HEDGEHOG',
  'TIN SOLDIER',
  'PLUM GINGHAM',
  'SEA GLASS',
  'COPPER LEAF',
];

export const FORMS: readonly [string, ...string[]] = [
  '',
  '',
  '',
  '',
  'SMALL',
  'LARGE',
  'SET OF 3',
  'SET OF 6',
  'MINI',
  'PACK OF 12',
];

/** Words that the stockroom leaves in place of a description. */
export const STOCK_NOTES: readonly [string, ...string[]] = [
  'broken in store',
  'count again',
  'went missing',
  'wet',
  'sample',
  '?',
];

/** Codes that are not goods, with their weights in a draw; the `cancelled` ones are credits. */
export const ODD_CODES = [
  { sku: 'POST', description: 'DELIVERY ABROAD', price: 18, weight: 36, cancelled: false },
  { sku: 'M', description: 'Typed in by hand', price: 6, weight: 33, cancelled: false },
  { sku: 'DOT', description: 'WEB SHOP DELIVERY', price: 120, weight: 31, cancelled: false },
  { sku: 'C2', description: 'VAN DELIVERY', price: 50, weight: 6, cancelled: false },
  { sku: 'D', description: 'Goodwill', price: 20, weight: 4, cancelled: true },
  { sku: 'ADJUST', description: 'Ledger correction', price: 60, weight: 3, cancelled: false },
  { sku: 'BANK CHARGES', description: 'Fee of the bank', price: 15, weight: 3, cancelled: true },
  { sku: 'S', description: 'TRY-OUT PIECES', price: 30, weight: 2, cancelled: true },
] as const;

/** Countries, the first one the shop's own, with the share of customers that live there. */
export const COUNTRIES = [
  { name: 'United Kingdom', share: 0.915 },
  { name: 'Germany', share: 0.022 },
  { name: 'France', share: 0.02 },
  { name: 'EIRE', share: 0.014 },
  { name: 'Netherlands', share: 0.009 },
  { name: 'Spain', share: 0.008 },
  { name: 'Switzerland', share: 0.006 },
  { name: 'Sweden', share: 0.006 },
] as const;
