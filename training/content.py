"""What pages say: goods, shops, fields, amounts in their notations, numbers that are no amounts, marks, claims.

All invented or generic. Functions take Python's `random.Random` (its calls are ten times cheaper than numpy's) and
give text together with its truth. Knows no font, size or position.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from training.words import Words

GOODS_ZH = (
    "纯牛奶 酸奶 鲜鸡蛋 全麦面包 吐司 大米 东北大米 面粉 挂面 方便面 矿泉水 苏打水 可乐 橙汁 苹果汁 绿茶 红茶 菊花茶 咖啡 拿铁 "
    "美式咖啡 热巧克力 豆浆 油条 包子 肉包 馒头 花卷 煎饼 水饺 炒饭 蛋炒饭 牛肉面 拉面 酸辣粉 米线 麻辣烫 火锅底料 宫保鸡丁 "
    "鱼香肉丝 红烧肉 糖醋排骨 清蒸鱼 番茄炒蛋 土豆丝 青椒肉丝 拍黄瓜 凉拌木耳 紫菜汤 酸梅汤 烤鸭 白切鸡 叉烧饭 虾仁 三文鱼 "
    "苹果 香蕉 橙子 葡萄 西瓜 樱桃 桃子 梨 柠檬 芒果 菠萝 白菜 菠菜 土豆 番茄 黄瓜 胡萝卜 洋葱 大蒜 生姜 香菜 豆腐 金针菇 玉米 "
    "红薯 花生油 菜籽油 酱油 生抽 老抽 陈醋 食盐 白糖 味精 辣椒酱 蜂蜜 果酱 花生酱 黄油 奶酪 雪糕 饼干 薯片 瓜子 花生 核桃 "
    "巧克力 糖果 口香糖 纸巾 抽纸 卷纸 湿巾 毛巾 浴巾 牙刷 牙膏 洗发水 护发素 香皂 洗手液 洗衣液 洗洁精 垃圾袋 保鲜膜 拖把 扫帚 "
    "水杯 保温杯 雨伞 拖鞋 袜子 手套 帽子 围巾 衬衫 外套 牛仔裤 运动鞋 书包 笔记本 中性笔 铅笔 橡皮 文件夹 胶带 剪刀 计算器 台灯 "
    "电池 充电器 数据线 耳机 鼠标 键盘 音箱 插座 灯泡 风扇 电饭锅 水壶 砂锅 菜刀 砧板 碗 盘子 筷子 勺子 维生素 口罩 创可贴 "
    "停车费 服务费 配送费 包装费 打车费 洗车 理发 门票 电影票 房费 快递费 打印 复印 会员费 手机壳"
).split()
GOODS_EN = (
    "Milk|Whole milk|Yogurt|Eggs|Bread|Rye bread|Butter|Cheese|Cheddar|Cream|Rice|Flour|Sugar|Salt|Pepper|Pasta|Noodles|"
    "Olive oil|Vinegar|Honey|Jam|Peanut butter|Cereal|Oats|Cookies|Crackers|Chips|Chocolate|Candy|Gum|Water|Soda|Cola|"
    "Orange juice|Apple juice|Lemonade|Green tea|Black tea|Coffee|Espresso|Latte|Cappuccino|Mocha|Hot chocolate|Bagel|"
    "Muffin|Croissant|Donut|Sandwich|Club sandwich|Burger|Cheeseburger|Fries|Onion rings|Pizza|Pizza slice|Hot dog|Taco|"
    "Burrito|Salad|Caesar salad|Tomato soup|Steak|Grilled salmon|Fish and chips|Fried rice|Sushi roll|Ramen|Dumplings|"
    "Ice cream|Cheesecake|Apple pie|Brownie|Apples|Bananas|Oranges|Grapes|Lemons|Berries|Tomatoes|Potatoes|Onions|"
    "Carrots|Lettuce|Spinach|Broccoli|Mushrooms|Garlic|Chicken|Beef|Turkey|Shrimp|Tuna|Beans|Corn|Ketchup|Mustard|"
    "Paper towels|Tissues|Napkins|Soap|Hand soap|Shampoo|Toothpaste|Toothbrush|Detergent|Sponge|Trash bags|Batteries|"
    "Light bulb|Candle|Umbrella|Socks|T-shirt|Jeans|Jacket|Scarf|Gloves|Hat|Sneakers|Backpack|Notebook|Pen|Pencil set|"
    "Eraser|Ruler|Scissors|Tape|Folder|Stapler|Desk lamp|Headphones|Mouse|Keyboard|USB cable|Charger|Phone case|Speaker|"
    "Water bottle|Mug|Plate|Bowl|Knife|Pan|Kettle|Toaster|Vitamins|Bandages|Parking|Delivery|Service fee|Car wash|"
    "Haircut|Ticket|Museum ticket|Room rate|Laundry|Printing|Shipping|Gift wrap|Toy car|Puzzle|Board game|Tea set"
).split("|")
SHOPS_ZH = (
    "好邻居超市 便民商店 阳光生鲜 四季果园 城南菜市场 星光咖啡 云朵茶饮 老街面馆 小镇餐厅 海边小馆 江南菜馆 美味快餐 香满楼 "
    "绿叶药房 百草堂 新华书店 文具之家 家居生活馆 电器城 五金店 花样年华服饰 童趣玩具 宠物乐园 东门停车场 顺风洗车 平安大药房 "
    "万家便利 开心水果 大众理发 晨光早餐 红灯笼火锅 山城小面"
).split()
SHOPS_EN = (
    "Corner Market|Green Grocer|Daily Mart|Sunny Cafe|Harbor Diner|Maple Bakery|Blue Door Bistro|River Books|City Pharmacy|"
    "Home and Garden|Oak Hardware|The Tea Room|Noodle House|Golden Spoon|Pizza Corner|Fresh Farm|Park Street Deli|"
    "Cozy Kitchen|Station Kiosk|Lucky Laundry|Happy Pets|Toy Box|Paper and Pen|Bright Electronics|Hill Top Hotel|"
    "Quick Stop|Village Store|Ocean Grill|Morning Coffee|Urban Outfit"
).split("|")
TITLES_ZH = "购物小票 销售小票 收据 结账单 消费清单 收银小票 电子小票 欢迎光临".split()
TITLES_EN = "RECEIPT|Sales Receipt|Cash Receipt|Receipt|Your order|GUEST CHECK|Welcome|Tax Invoice".split("|")
MENU_ZH = "菜单 今日特价 价目表 饮品单 招牌菜 主食 小吃 热菜 凉菜 汤类 甜点 套餐 茶水".split()
MENU_EN = (
    "Menu|Today|Price list|Drinks|Main dishes|Snacks|Starters|Soups|Desserts|Breakfast|Lunch|Specials|Sides".split("|")
)
THANKS_ZH = "谢谢惠顾 欢迎再次光临 请保留小票 祝您购物愉快 谢谢 凭票退换 请妥善保管".split()
THANKS_EN = "Thank you!|Please come again|Have a nice day|Keep this receipt|Thanks|See you soon|No refunds".split("|")
TOTAL_ZH = "合计 总计 应付 总金额 应收 实付 共计".split()
TOTAL_EN = "Total|TOTAL|Amount due|Grand total|Total due|To pay|Balance due".split("|")
PAID_ZH = (("现金", "找零"), ("实收", "找零"), ("微信支付", ""), ("支付宝", ""), ("银行卡", ""))
PAID_EN = (("Cash", "Change"), ("CASH", "CHANGE"), ("Card", ""), ("Paid", "Change"))
SUBTOTAL = {
    "zh": ("小计", "税额", "折后", "优惠", "服务费", "运费"),
    "en": ("Subtotal", "Tax", "Discount", "Tip", "Service", "Shipping"),
}
SLOGANS_ZH = "限时特惠 新品上市 买一送一 今日推荐 全场包邮 品质生活 正品保证 秋季上新 会员专享 手工制作 天然原料 送货上门 欢迎品尝 精选好物".split()
SLOGANS_EN = (
    "Special offer|New arrival|Buy one get one|Limited time|Free shipping|Sale|Members only|Handmade|All natural|"
    "Fresh daily|Big savings|Weekend deal|Now open|Today only|Quality goods"
).split("|")
FORBIDDEN_ZH = "最便宜 第一 最低价 全网最低 国家级 顶级 最好 最佳 绝对 百分百有效 独家 万能 永久 极品 史无前例".split()
FORBIDDEN_EN = "best|No.1|cheapest|Best|lowest price|guaranteed|miracle|world-class|BEST|Cheapest|100% effective".split(
    "|"
)
# Words like the forbidden ones, and words that hold one: what counts is decided by `tasks.forbidden_words`.
NEAR_ZH = (
    "便宜 好便宜 第二 第三名 第五 最新 最近 最后三天 低价 超低价 国家 国产 绝招 绝妙 百分之十 独立 独特 万全 多能 永远 极好 极速 顶部 屋顶 高级 "
    "历史 前无古人 全网 最美 最大 佳品 好物 第十一 一级 首家 首选 第一时间 最佳拍档 最好吃 独家记忆 万能胶 永久自行车 绝对值 最便宜了"
).split()
NEAR_EN = (
    "bestow|Better|No.10|No.12|No.11|cheaper|Cheap|low price|lower prices|unguaranteed|guarantee|miracles|world class|worlds|"
    "10% effective|bestie|Western|beast|No. 1|Number one|Best-seller|best-in-class|the guaranteed one|Cheapest!|No.1 pick"
).split("|")
STAMPS_ZH, STAMPS_EN = (
    "已付款 已收讫 特价 热卖 新品 作废 合格 样品".split(),
    "PAID|SALE|NEW|HOT|COPY|SAMPLE|APPROVED".split("|"),
)
BRANDS = ("NOVA", "LUMO", "KITE", "ORBI", "PEAK", "WAVI", "TRIO", "HEXA")

SHAPES = {
    "circle": "圆形", "square": "正方形", "triangle": "三角形", "star": "五角星", "diamond": "菱形", "ring": "圆环",
    "cross": "十字", "hexagon": "六边形",
}  # fmt: skip
SHAPE_WORDS = dict(zip(SHAPES, "圆方三星菱环十六", strict=True))  # one character each
SHAPES_PLURAL = {name: name + ("es" if name == "cross" else "s") for name in SHAPES}
COLOURS = {
    "red": ("红色", (214, 40, 40)), "orange": ("橙色", (245, 130, 20)), "yellow": ("黄色", (250, 214, 30)),
    "green": ("绿色", (40, 160, 70)), "blue": ("蓝色", (40, 90, 215)), "purple": ("紫色", (130, 50, 170)),
    "pink": ("粉色", (250, 130, 180)), "brown": ("棕色", (125, 75, 35)), "black": ("黑色", (20, 20, 20)),
    "white": ("白色", (250, 250, 250)), "gray": ("灰色", (130, 130, 130)),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount inside a text: its answer form (no sign, no thousands separator) and its span with the sign."""

    value: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Text:
    """Text to draw and the amounts inside it, in order."""

    text: str
    amounts: tuple[Amount, ...] = field(default=())

    def __add__(self, other: Text) -> Text:
        shift = len(self.text)
        moved = tuple(Amount(a.value, a.start + shift, a.end + shift) for a in other.amounts)
        return Text(self.text + other.text, self.amounts + moved)


def number(r: Random) -> tuple[str, str]:
    """A price as (printed, answer form); large ones carry thousands separators in three of ten cases."""
    kind = r.random()
    if kind < 0.40:
        whole, cents = r.randint(0, 99), r.choice((0, 50, 90, 99, 80, 20, r.randint(0, 99), r.randint(0, 99)))
        printed = f"{whole}.{cents:02d}"
    elif kind < 0.58:
        printed = f"{r.randint(100, 999)}.{r.randint(0, 99):02d}"
    elif kind < 0.72:
        printed = str(r.randint(1, 99))
    elif kind < 0.80:
        printed = str(r.randint(100, 999))
    elif kind < 0.86:
        printed = f"{r.randint(1, 99)}.{r.randint(1, 9)}"
    else:
        digits_before = str(r.randint(1000, 9999) if r.random() < 0.7 else r.randint(10_000, 99_999))
        tail = f".{r.randint(0, 99):02d}" if r.random() < 0.7 else ""
        if r.random() < 0.3:
            return f"{digits_before[:-3]},{digits_before[-3:]}{tail}", digits_before + tail
        printed = digits_before + tail
    return printed, printed


_BEFORE_ZH = ("¥", "¥", "¥", "¥ ", "￥", "人民币", "RMB ", "$")
_AFTER_ZH = ("元", "元", "元", " 元", "块")
_BEFORE_EN = ("$", "$", "$", "$ ", "€", "£", "US$", "USD ", "EUR ", "GBP ", "¥")
_AFTER_EN = (" USD", " EUR", " dollars", "€", " euros", " €")


def notation(r: Random, language: str) -> tuple[str, str]:
    """A currency notation as (before, after); a page mostly keeps to one."""
    before, after = (_BEFORE_ZH, _AFTER_ZH) if language == "zh" else (_BEFORE_EN, _AFTER_EN)
    if r.random() < (0.6 if language == "zh" else 0.75):
        return r.choice(before).replace("￥", "¥"), ""  # the full-width sign looks like the other: never drawn
    return "", r.choice(after)


def price(r: Random, signs: tuple[str, str]) -> Text:
    """One amount in a notation; ("", "") gives a bare number, which only a price column may hold."""
    printed, value = number(r)
    text = signs[0] + printed + signs[1]
    return Text(text, (Amount(value, 0, len(text)),))


def written(value: str, signs: tuple[str, str]) -> Text:
    """A given value in a notation, e.g. a computed total."""
    text = signs[0] + value + signs[1]
    return Text(text, (Amount(value, 0, len(text)),))


def date(r: Random, language: str) -> str:
    """A date in one of the language's usual forms."""
    year, month, day = r.randint(2015, 2032), r.randint(1, 12), r.randint(1, 28)
    kind = r.randrange(4)
    if kind == 0:
        return f"{year}-{month:02d}-{day:02d}"
    if kind == 1:
        return f"{year}/{month:02d}/{day:02d}"
    if language == "zh":
        return f"{year}年{month}月{day}日" if kind == 2 else f"{year}年{month:02d}月{day:02d}日"
    if kind == 2:
        return f"{day} {_MONTHS[month - 1]} {year}"
    return f"{month:02d}/{day:02d}/{year}"


_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def digits(r: Random, count: int) -> str:
    """A run of random digits."""
    return str(r.randrange(10 ** (count - 1), 10**count))


def phone(r: Random) -> str:
    """An invented telephone number."""
    kind = r.randrange(4)
    if kind == 0:
        return f"1{r.choice('35789')}{digits(r, 9)}"
    if kind == 1:
        return f"400-{digits(r, 3)}-{digits(r, 4)}"
    if kind == 2:
        return f"0{r.choice(('10', '21', '755', '571'))}-{digits(r, 8)}"
    return f"({digits(r, 3)}) {digits(r, 3)}-{digits(r, 4)}"


def weight(r: Random, language: str) -> str:
    """A net content."""
    unit = r.choice(
        ("g", "g", "kg", "ml", "ml", "L") + (("克", "毫升", "千克") if language == "zh" else (" oz", " lb"))
    )
    if unit in ("kg", "L", "千克", " lb"):
        return f"{r.choice((1, 2, 5, 10, r.randint(1, 25)))}{'.5' if r.random() < 0.3 else ''}{unit}"
    return f"{r.choice((50, 75, 100, 125, 200, 250, 330, 350, 400, 450, 500, 750, 900, r.randint(10, 990)))}{unit}"


def code(r: Random) -> str:
    """A part or order number; letters that look like digits or each other are left out."""
    letters = "".join(r.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(r.randint(1, 3)))
    return f"{letters}{r.choice(('-', '', ' '))}{digits(r, r.randint(3, 6))}"


def alphanumeric(r: Random) -> str:
    """Random letters and digits, three to nine of them."""
    return "".join(
        r.choice("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz023456789") for _ in range(r.randint(3, 9))
    )


def distractor(r: Random, language: str) -> str:
    """A number that is no amount."""
    zh = language == "zh"
    kind = r.randrange(12)
    if kind == 0:
        return (r.choice(("", "日期：", "生产日期 ")) if zh else r.choice(("", "Date: "))) + date(r, language)
    if kind == 1:
        return (r.choice(("电话：", "", "热线 ")) if zh else r.choice(("Tel: ", "", "Call "))) + phone(r)
    if kind == 2:
        return (r.choice(("净含量：", "", "重量 ")) if zh else r.choice(("Net wt ", "", "Weight: "))) + weight(
            r, language
        )
    if kind == 3:
        return f"{r.randint(0, 23):02d}:{r.randint(0, 59):02d}"
    if kind == 4:
        return f"{r.randint(1, 99)}%" + (
            "" if r.random() < 0.6 else (r.choice(("折扣", "棉", "含量")) if zh else " off")
        )
    if kind == 5:
        return (r.choice(("型号：", "货号 ", "")) if zh else r.choice(("Model ", "Part no. ", "SKU "))) + code(r)
    if kind == 6:
        return (r.choice(("单号：", "订单 ", "编号 ")) if zh else r.choice(("Order #", "No. ", "ID "))) + digits(
            r, r.randint(4, 11)
        )
    if kind == 7:
        return (
            f"{r.randint(2, 60)}{r.choice('件个包瓶盒袋人桌')}"
            if zh
            else f"{r.randint(2, 60)} {r.choice(('pcs', 'items', 'pack'))}"
        )
    if kind == 8:
        return f"{r.randint(1, 9)}{r.choice(('', '.5'))}折" if zh else f"Table {r.randint(1, 60)}"
    if kind == 9:
        return f"{r.randint(-9, 40)}℃" if zh else f"{r.randint(10, 99)} km"
    if kind == 10:
        return f"第{r.randint(1, 30)}{r.choice('页层排号')}" if zh else f"Page {r.randint(1, 99)}"
    return f"{r.randint(2, 12)}x{r.randint(2, 12)}cm" if zh else f"Room {r.randint(100, 999)}"


def words(r: Random, language: str, vocabulary: Words, num_hanzi: int, length: int) -> str:
    """Running words of about `length` characters (zh) or letters (en); `num_hanzi` bounds how rare a hanzi may be."""
    out = ""
    while len(out) < length:
        out += hanzi_chunk(r, vocabulary, num_hanzi) if language == "zh" else _english_chunk(r, vocabulary) + " "
    return out.strip()


def hanzi_chunk(r: Random, vocabulary: Words, num_hanzi: int) -> str:
    """A word, or, in three of ten cases and while learning the frequent ones, hanzi in random order."""
    pool = vocabulary.hanzi[:num_hanzi] if num_hanzi < len(vocabulary.hanzi) else vocabulary.hanzi
    if r.random() < 0.36 or num_hanzi < 1000:
        return "".join(r.choice(pool) for _ in range(r.randint(2, 4))).replace("曰", "日")
    return vocabulary.chinese[int(len(vocabulary.chinese) * r.random() ** 1.5)]


def _english_chunk(r: Random, vocabulary: Words) -> str:
    if r.random() < 0.12:
        return alphanumeric(r)
    word = r.choice(vocabulary.english)
    case = r.random()
    return word if case < 0.5 else word.capitalize() if case < 0.8 else word.upper()


def similar(r: Random, name: str, language: str) -> str:
    """Another name that is easily mistaken for this one: longer, shorter, or of another size."""
    if language == "zh":
        kinds = (
            r.choice("大小新鲜青红老冰热双") + name, name + r.choice("汁酱片粉茶块包王"), name + r.choice("一二三") + "号",
            f"{name}{r.choice((250, 330, 500, 750))}ml", name + r.choice(("礼盒", "套餐", "散装", "大份", "小份")), name[:-1] or name,
        )  # fmt: skip
        return r.choice(kinds)[-9:]
    words = name.split()
    kinds = (
        f"{r.choice(('Large', 'Small', 'Fresh', 'New', 'Iced', 'Red'))} {name.lower()}", f"{name} {r.choice(('pack', 'mix', 'set', 'box'))}",
        f"{name} {r.choice('AB')}", f"{words[0]} {r.choice(('juice', 'soup', 'pie', 'bowl', 'tea'))}", words[0],
    )  # fmt: skip
    return r.choice(kinds)[:20].rstrip()


def item(r: Random, language: str, vocabulary: Words, num_hanzi: int) -> str:
    """A name of something sold: mostly a common one, else any word."""
    if r.random() < 0.55:
        return r.choice(GOODS_ZH if language == "zh" else GOODS_EN)
    if language == "zh":
        return hanzi_chunk(r, vocabulary, num_hanzi) + (
            hanzi_chunk(r, vocabulary, num_hanzi) if r.random() < 0.3 else ""
        )
    name = r.choice(vocabulary.english).capitalize()
    return name + (" " + r.choice(vocabulary.english) if r.random() < 0.3 else "")


FIELDS_ZH = {
    "brand": ("品名", "产品名称", "名称"), "made": ("生产日期", "制造日期"), "expiry": ("保质期至", "有效期至", "到期日", "保质期"),
    "life": ("保质期",), "net": ("净含量", "规格", "重量"), "origin": ("产地", "原产地"), "maker": ("生产商", "制造商", "厂家"),
    "batch": ("批号", "生产批号"), "phone": ("电话", "客服热线", "联系电话"), "store": ("储存条件", "贮存方法"),
    "contents": ("配料", "成分"), "model": ("型号", "货号"), "price": ("价格", "售价", "单价", "零售价"), "flavour": ("口味",),
    "power": ("功率",), "battery": ("电池容量",), "address": ("地址", "厂址"), "grade": ("等级", "质量等级"),
}  # fmt: skip
FIELDS_EN = {
    "brand": ("Product", "Name", "Item"), "made": ("Made on", "Mfg date", "Packed on"),
    "expiry": ("Best before", "Expires", "Use by", "EXP"), "life": ("Shelf life",), "net": ("Net weight", "Net wt", "Size"),
    "origin": ("Origin", "Made in"), "maker": ("Maker", "Produced by"), "batch": ("Batch", "Lot no."),
    "phone": ("Phone", "Tel", "Hotline"), "store": ("Storage", "Store"), "contents": ("Ingredients", "Contains"),
    "model": ("Model", "Item no."), "price": ("Price", "Retail price", "Unit price"), "flavour": ("Flavour",),
    "power": ("Power",), "battery": ("Battery",), "address": ("Address",), "grade": ("Grade",),
}  # fmt: skip
_ORIGINS = {
    "zh": "浙江杭州 广东广州 四川成都 山东青岛 云南大理 福建厦门 江苏苏州 上海 北京 黑龙江 新疆".split(),
    "en": "China|France|Italy|Spain|Japan|Canada|Chile|Norway|Kenya".split("|"),
}
_STORES = {
    "zh": "阴凉干燥处 常温 冷藏保存 避免阳光直射 冷冻".split(),
    "en": "Cool and dry|Refrigerate|Keep frozen|Room temperature".split("|"),
}
_FLAVOURS = {
    "zh": "原味 苹果味 香草味 麻辣 番茄味 抹茶味".split(),
    "en": "Original|Vanilla|Strawberry|Spicy|Lemon|Cocoa".split("|"),
}


def field_value(r: Random, name: str, language: str, vocabulary: Words, num_hanzi: int, signs: tuple[str, str]) -> Text:
    """The value of a label's field."""
    zh = language == "zh"
    if name == "price":
        return price(r, signs)
    if name == "life":
        unit = r.choice(("个月", "天")) if zh else r.choice((" months", " days"))
        return Text(f"{r.choice((3, 6, 7, 9, 12, 18, 24, 30, 45))}{unit}")
    simple: dict[str, Callable[[], str]] = {
        "made": lambda: date(r, language),
        "expiry": lambda: date(r, language),
        "net": lambda: weight(r, language),
        "origin": lambda: r.choice(_ORIGINS[language]),
        "batch": lambda: code(r),
        "model": lambda: code(r),
        "phone": lambda: phone(r),
        "store": lambda: r.choice(_STORES[language]),
        "flavour": lambda: r.choice(_FLAVOURS[language]),
        "power": lambda: f"{r.choice((5, 12, 20, 45, 60, 800, 1200, 1800))}W",
        "battery": lambda: f"{r.choice((1200, 2000, 3000, 4500, 5000, 10000))}mAh",
        "grade": lambda: r.choice(("一级", "优等品", "合格品")) if zh else r.choice(("A", "AA", "B", "I")),
        "brand": lambda: item(r, language, vocabulary, num_hanzi),
        "contents": lambda: ("、" if zh else ", ").join(r.sample(GOODS_ZH if zh else GOODS_EN, r.randint(2, 3))),
    }
    if name in simple:
        return Text(simple[name]())
    return Text(words(r, language, vocabulary, num_hanzi, r.randint(4, 8) if zh else r.randint(8, 16)))


FIELD_ORDER = tuple(FIELDS_ZH)
