"""The parts of a drawn face, one painter each, and the order in which they are laid.

A painter gets the pixels of its window, `canvas` (batch, 3, height, width); their coordinates `at`,
each (batch, height, width); and the factors `f`, each (batch, 1, 1), besides the shared colours,
(batch, 3, 1, 1). Lengths are in half frames, `y` and `v` grow downwards, the eyes lie at 0:
`x`, `y` are upright; `u`, `v` lie on the head and turn with it; `side`, `down`, `depth` are the
head's normal; `outline` is the distance to its silhouette; `around` grows from nose to ears.
"""

import numpy as np

from vae_keras.datasets.synthetic.shapes import blend, bump, coverage, ellipse, profile, squircle

HEAD_Y, HEAD_HEIGHT = 0.075, 0.875  # the head's centre below the eyes, and its half height
EYE_X = 0.265
MOUTH_Y = 0.57

SKIN_TONES = (
    (0.0, (0.93, 0.825, 0.775)), (0.2, (0.92, 0.755, 0.655)), (0.45, (0.81, 0.60, 0.465)),
    (0.7, (0.60, 0.405, 0.30)), (1.0, (0.37, 0.235, 0.175)),
)  # fmt: skip
HAIR_COLOURS = (
    (0.1, (0.075, 0.065, 0.07)), (0.3, (0.30, 0.19, 0.13)), (0.6, (0.50, 0.33, 0.20)),
    (0.8, (0.87, 0.71, 0.43)), (1.0, (0.95, 0.85, 0.62)),
)  # fmt: skip
EYE_COLOURS = (
    (0.0, (0.20, 0.12, 0.08)), (0.5, (0.38, 0.25, 0.13)), (0.7, (0.36, 0.43, 0.27)),
    (1.0, (0.30, 0.48, 0.62)),
)  # fmt: skip
BACKGROUNDS = (
    (0.0, (0.16, 0.15, 0.15)), (0.15, (0.20, 0.24, 0.32)), (0.35, (0.47, 0.56, 0.64)),
    (0.5, (0.76, 0.77, 0.76)), (0.7, (0.74, 0.66, 0.55)), (0.85, (0.53, 0.37, 0.31)),
    (1.0, (0.36, 0.40, 0.31)),
)  # fmt: skip
EYE_SHADOWS = ((0.0, (0.30, 0.33, 0.42)), (0.5, (0.36, 0.30, 0.42)), (1.0, (0.42, 0.30, 0.30)))
LIPSTICKS = ((0.0, (0.72, 0.08, 0.13)), (0.5, (0.82, 0.20, 0.34)), (1.0, (0.55, 0.10, 0.26)))


def _rgb(*colour):
    """Three numbers that broadcast against (batch, 3, height, width)."""
    return np.float32(colour)[:, None, None]


def _palette(position, stops):
    """A colour per face, piecewise linear between the stops."""
    return profile(position[:, None], *((at, _rgb(*colour)) for at, colour in stops))


def _muted(hue, chroma, lightness):
    """Photographs are rarely saturated: a colour around a grey, periodic in its hue."""
    phases = hue[:, None] - _rgb(0.0, 1 / 3, 2 / 3)
    return lightness[:, None] + chroma * np.cos(2.0 * np.pi * phases)


def colours(f):
    """The colours that several parts share, by name, each (batch, 3, 1, 1)."""
    skin = _palette(f.skin_tone, SKIN_TONES)
    skin = skin * (1.0 + 0.03 * f.skin_warmth[:, None] * _rgb(1, 0, -1.6))
    hair = _palette(f.hair_lightness, HAIR_COLOURS)
    hair = hair + _rgb(0.20, -0.02, -0.08) * np.square(f.hair_redness[:, None])
    gray = (0.62 + 0.2 * f.hair_lightness[:, None]) * _rgb(1, 1, 1.01)
    hair = blend(hair, f.hair_gray[:, None], gray)
    brow = blend(hair * 0.62, 0.35, skin * 0.45)
    lipstick = _palette(f.lip_hue, LIPSTICKS)
    lips = blend(skin * _rgb(0.93, 0.70, 0.68), 0.9 * f.lipstick[:, None], lipstick)
    return {"skin": skin, "hair": hair, "brow": brow, "lips": lips}


def _paint(canvas, mask, colour):
    """Lays a colour over the canvas where the mask, in [0, 1], lets it."""
    canvas[:] = blend(canvas, mask[:, None], colour)


def _shade(canvas, amount):
    """Lightens or darkens; shadows on skin turn warm, so red yields least."""
    canvas *= 1.0 + amount[:, None] * _rgb(0.85, 1.05, 1.1)


def _light(at, f):
    """Lambert's law on the ellipsoid, around 0: light from above and one side."""
    return 0.36 * (0.75 * f.light_x * at.side - 0.30 * at.down + 0.8 * at.depth) - 0.24


def hair_outline(at, f):
    """Distance to the silhouette of all the hair: an egg that may fall open to the shoulders."""
    length = f.hair_length
    fullness = (0.03 + 0.05 * f.hair_volume) * (1.0 - 0.8 * f.baldness)
    crown = at.y - (HEAD_Y - 0.14 - HEAD_HEIGHT * np.sin(f.pitch))
    height = HEAD_HEIGHT - 0.12 + (0.4 + 1.3 * (1.0 - f.hat)) * fullness - 0.12 * f.baldness
    drop = np.maximum(crown, 0.0)
    wave = 0.045 * f.hair_wave * np.sin(11.0 * crown + 3.0 * at.side) * np.minimum(drop * 3, 1.0)
    width = 0.54 + 0.5 * fullness + length * (0.12 + 0.30 * drop - 0.16 * drop * drop)
    width = width + wave * (0.3 + length)
    center = -0.45 * np.sin(f.yaw)
    side = (at.x - center) / width
    top = np.minimum(crown, 0.0) / height
    egg = squircle(side, top, 0.3) * width
    end = 0.02 + 1.5 * np.square(length) + 0.45 * length
    ends = at.y - end + 0.25 * np.square(side)
    rounding = 0.15
    corner = np.square(np.maximum(egg + rounding, 0.0))
    corner += np.square(np.maximum(ends + rounding, 0.0))
    return np.maximum(np.sqrt(corner) - rounding, np.maximum(egg, ends))


def hair_tone(at, f):
    """Strands that fall from the parting, and a soft gloss that follows the light."""
    strand = (at.u - 0.25 * f.hair_part) / (0.32 + 0.7 * np.maximum(at.v + 0.85, 0.0))
    wave = 2.5 * f.hair_wave * np.sin(9.0 * at.v + 2.0 * strand)
    strands = 0.085 * np.sin(22.0 * strand + wave) + 0.05 * np.sin(47.0 * strand + 1.7 * wave)
    gloss = 0.5 * bump(at.u, at.v, 0.25 * f.light_x, -0.70, 0.5, 0.16)
    return (0.92 + strands + gloss + 0.25 * f.light_x * at.side) * f.brightness


def _background(canvas, at, f):
    colour = _palette(f.background_hue, BACKGROUNDS)
    tilt = 0.75 + 0.35 * f.background_lightness + 0.35 * f.background_tilt * at.x - 0.12 * at.y
    canvas[:] = colour * tilt[:, None]
    glow = bump(at.x, at.y, 1.4 * f.background_tilt, -0.5, 1.2, 1.4)
    _paint(canvas, 0.5 * f.background_glow * glow, 0.35 + 0.6 * colour)


def _clothes(canvas, at, f):
    slope = 0.94 - 0.10 * f.masculinity + 0.22 * np.square(at.x + 0.2 * f.yaw)
    colour = _muted(f.clothes_hue, 0.12, 0.12 + 0.7 * f.clothes_lightness)
    fold = 0.85 + 0.25 * f.light_x * at.x
    _paint(canvas, coverage(slope - at.y, f.softness), colour * fold[:, None])


def _back_hair(canvas, at, f):
    mask = coverage(at.hair_outline, 1.5 * f.softness)
    _paint(canvas, mask, f.hair * 0.55 * at.hair_tone[:, None])


def _neck(canvas, at, f):
    center = -0.30 * np.sin(f.yaw)
    width = 0.25 + 0.09 * f.masculinity
    across = (at.x - center) / width
    column = (np.abs(across) - 1.0) * width - 0.5 * np.square(np.maximum(at.y - 0.85, 0.0))
    collar = at.y - (1.0 + 0.22 * f.neckline - 0.15 * np.square(across))
    mask = coverage(np.maximum(np.maximum(column, collar), 0.4 - at.y), f.softness)
    under_chin = 0.38 * np.clip(1.6 - 5.0 * at.outline, 0.0, 1.0)
    tone = f.brightness * (0.92 + 0.15 * f.light_x * across - 0.12 * across**2 - under_chin)
    _paint(canvas, mask, f.skin * tone[:, None])


def _head(canvas, at, f):
    mask = coverage(at.outline, f.softness)
    _paint(canvas, mask, f.skin * f.brightness[:, None])
    _shade(canvas, mask * _light(at, f))


def _relief(canvas, at, f):
    """What is neither drawn nor coloured: the hills and hollows of a face."""
    au = np.abs(at.u)
    smile = np.maximum(f.smile, 0.0)
    fold = 0.05 + 0.13 * smile + 0.25 * f.age
    _shade(
        canvas,
        0.10 * bump(at.u, at.v, 0.1 * f.light_x, -0.26, 0.36, 0.16)
        - 0.16 * bump(au, at.v, 0.235, -0.045, 0.17, 0.14)
        - (0.05 + 0.25 * f.age) * bump(au, at.v, 0.245, 0.125, 0.13, 0.045)
        + (0.07 + 0.09 * smile) * bump(au, at.v, 0.30, 0.27, 0.17, 0.14)
        - fold * bump(au - 0.9 * np.square(at.v - 0.32), at.v, 0.185, 0.46, 0.06, 0.14)
        - 0.13 * f.age * bump(au, at.v, 0.30, 0.70, 0.10, 0.16)
        + 0.07 * bump(at.u, at.v, 0.0, 0.83, 0.16, 0.10),
    )
    wrinkles = np.square(np.sin(36.0 * (at.v + 0.4 * np.square(at.u))))
    _shade(canvas, -0.30 * f.age * wrinkles * bump(at.u, at.v, 0.0, -0.29, 0.34, 0.14))
    blush = (0.16 + 0.34 * f.makeup) * bump(au, at.v, 0.33, 0.29, 0.19, 0.15)
    _paint(canvas, blush, f.skin * _rgb(1.02, 0.66, 0.66))


def _eyes(canvas, at, f):
    """Both at once, folded about the middle of the face."""
    mirror = np.sign(at.u)
    size = 1.0 + 0.16 * f.eye_size - 0.08 * f.masculinity
    du = np.abs(at.u) - EYE_X
    dv = at.v + (0.10 - 0.12 * f.age) * du  # the outer corners sink with age
    t2 = np.square(du / (0.135 * size))
    opening = (0.062 + 0.008 * f.makeup) * size * (1.0 - t2)
    upper, lower = -dv - opening, dv - 0.75 * opening
    eye = coverage(np.maximum(upper, lower), f.softness)
    shadow = bump(du, at.v, 0.01, -0.075, 0.17, 0.085)
    _paint(canvas, 0.75 * f.makeup * shadow, _palette(f.lip_hue, EYE_SHADOWS))
    white = blend(np.float32(0.94), 0.14, f.skin) * f.brightness[:, None]
    _paint(canvas, eye, white * (1.0 + 2.2 * np.clip(dv + 0.02, -0.09, 0.0))[:, None])
    gaze = 0.035 * (f.gaze - 0.8 * f.yaw) * mirror
    radius = np.sqrt(np.square(du - gaze) + np.square(dv + 0.008))
    _paint(canvas, eye * coverage(radius - 0.057, f.softness), _palette(f.eye_colour, EYE_COLOURS))
    _paint(canvas, eye * coverage(radius - 0.028, f.softness), 0.03)
    glint = bump(du - gaze, dv, -0.022 * mirror, -0.028, 0.032, 0.028)
    _paint(canvas, 0.9 * glint, 1.0)
    lash = 0.010 + 0.007 * (1.0 - f.masculinity) + 0.016 * f.makeup
    beyond = (np.sqrt(t2) - 1.1) * 0.135
    line = coverage(np.maximum(np.abs(upper) - lash, beyond), f.softness)
    _paint(canvas, 0.9 * line, f.skin * 0.22)
    _paint(canvas, 0.30 * coverage(np.maximum(np.abs(lower), beyond), f.softness), f.skin * 0.5)


def _brows(canvas, at, f):
    t = (np.abs(at.u) - 0.26) / 0.185
    arch = -0.185 - 0.03 * f.brow_raise + 0.015 * f.masculinity + 0.03 * t * (t + 0.25)
    thickness = (0.012 + 0.036 * f.brow_thickness) * (1.0 - 0.35 * t - 0.25 * t * t)
    distance = np.maximum(np.abs(at.v - arch) - thickness, (np.abs(t) - 1.0) * 0.185)
    mask = coverage(distance, 1.2 * f.softness)
    _paint(canvas, (0.70 + 0.28 * f.brow_thickness) * mask, f.brow)


def _nose(canvas, at, f):
    u = at.u - 0.10 * np.sin(f.yaw)  # it stands out from the ellipsoid
    au = np.abs(u) / (1.0 + 0.20 * f.nose_width + 0.12 * f.masculinity)
    lit = 1.0 - 0.8 * f.light_x * np.clip(u * 12.0, -1.0, 1.0)
    _shade(
        canvas,
        0.12 * bump(u, at.v, 0.03 * f.light_x, 0.13, 0.05, 0.20)
        - 0.13 * lit * bump(au - 0.12 * at.v, at.v, 0.095, 0.10, 0.075, 0.26)
        + 0.18 * bump(u, at.v, 0.02 * f.light_x, 0.285, 0.06, 0.06)
        - 0.22 * lit * bump(au, at.v, 0.125, 0.325, 0.045, 0.065)
        - 0.26 * bump(u, at.v, 0.0, 0.395, 0.15, 0.05),
    )
    _shade(canvas, -0.55 * bump(au, at.v, 0.058, 0.362, 0.042, 0.027))


def _mouth(canvas, at, f):
    smile, opening = f.smile, f.mouth_open
    grin = np.maximum(smile, 0.0)
    width = 0.20 + 0.05 * smile - 0.025 * opening * (1.0 - grin)
    t2 = np.square(at.u / width)
    arch = np.maximum(1.0 - t2, 0.0)
    line = MOUTH_Y + 0.03 * smile - 0.095 * smile * t2
    top = line - 0.02 * opening * arch
    bottom = line + (0.095 + 0.015 * grin) * opening * arch
    full = 1.0 - 0.30 * f.masculinity + 0.2 * f.lipstick - 0.2 * f.age - 0.15 * grin
    bow = 1.0 - 0.30 * np.square(np.maximum(1.0 - 5.0 * t2, 0.0))
    upper_edge, lower_edge = top - 0.052 * full * arch * bow, bottom + 0.068 * full * arch
    _shade(canvas, -0.18 * bump(at.u, at.v - lower_edge, 0.0, 0.04, 0.14, 0.05))
    ends = (np.sqrt(t2) - 1.0) * width
    lips = np.maximum(np.maximum(upper_edge - at.v, at.v - lower_edge), ends)
    tone = 0.92 + 1.6 * np.clip(at.v - line, -0.08, 0.08)
    _paint(canvas, coverage(lips, f.softness), f.lips * (tone * f.brightness)[:, None])
    inside = coverage(np.maximum(np.maximum(top - at.v, at.v - bottom), ends), f.softness)
    inside *= np.clip(opening * 5.0, 0.0, 1.0)
    _paint(canvas, inside, _rgb(0.24, 0.06, 0.07))
    teeth = coverage(at.v - top - (0.022 + 0.05 * grin) * np.sqrt(arch), f.softness)
    _paint(canvas, inside * teeth, _rgb(0.96, 0.94, 0.90))
    seam = coverage(np.maximum(np.abs(at.v - line) - 0.008, ends), f.softness)
    _paint(canvas, 0.75 * seam * np.clip(1.0 - 3.0 * opening, 0.0, 1.0), f.lips * 0.35)


def _facial_hair(canvas, at, f, distance, opacity):
    mask = opacity * coverage(distance, 2.2 * f.softness)
    strands = 0.85 + 0.05 * np.sin(55.0 * at.u + 12.0 * at.v) + _light(at, f)
    _paint(canvas, mask, 0.8 * f.hair * strands[:, None])


def _beard(canvas, at, f):
    au2 = np.square(at.u)
    edge = MOUTH_Y - 0.03 - 18.0 * au2 * au2 - at.v
    lips = -ellipse(at.u, at.v, 0.0, MOUTH_Y, 0.20, 0.10)
    edge = np.maximum(edge, -0.12 - at.v)  # sideburns end at the ears
    jaw = at.outline - 0.06 * f.beard * np.clip(2.0 * at.v, 0.0, 1.0)
    distance = np.maximum(np.maximum(edge, lips), jaw)
    _facial_hair(canvas, at, f, distance, np.minimum(1.5 * f.beard, 0.96))


def _mustache(canvas, at, f):
    t = np.abs(at.u) / 0.20
    droop = 0.455 + 0.06 * t**3 - 0.05 * f.smile * t * t
    thickness = 0.048 * (1.0 - 0.55 * t * t)
    distance = np.maximum(np.abs(at.v - droop) - thickness, (t - 1.0) * 0.20)
    _facial_hair(canvas, at, f, distance, 0.95 * f.mustache)


def _front_hair(canvas, at, f):
    """Hair within its outline and above the hairline, which falls steeply at the temples."""
    away = np.square(at.u - 0.25 * f.hair_part)
    parting = (1.5 - 1.3 * f.masculinity) * away
    fringe = f.bangs * (0.33 - parting + 0.03 * np.sin(26.0 * at.u + 2.0))
    recession = 0.85 * np.square(f.baldness) + f.baldness * np.minimum(3.0 * away, 0.25)
    hairline = -0.59 + 0.05 * f.masculinity + parting + fringe + 0.20 * np.square(at.around)
    hairline = hairline - recession * np.maximum(1.0 - 0.3 * at.around, 0.0)
    hairline = hairline + 0.03 * f.hair_wave * np.sin(14.0 * at.v + 6.0 * at.u)
    # A steep hairline is nearer than the height above it says.
    below = (at.v - hairline) / (1.0 + at.around * (1.0 + at.around))
    shadow = np.clip(1.0 - below / 0.13, 0.0, 1.0) * coverage(at.outline, f.softness)
    shadow *= coverage(at.hair_outline - 0.05, 0.16)
    _shade(canvas, -0.28 * (1.0 - f.baldness) * shadow)
    bare = -1.5 + 1.28 * f.baldness - 0.1 * at.side * at.side - at.v  # what balding leaves is low
    mask = coverage(np.maximum(np.maximum(at.hair_outline, below), bare), 1.6 * f.softness)
    edge = 1.0 - 0.30 * np.clip(1.0 + below / 0.12, 0.0, 1.0)
    _paint(canvas, mask, f.hair * (at.hair_tone * edge)[:, None])


def _ears(canvas, at, f):
    """The turn hides the far ear behind the head and brings the near one forward."""
    turn = np.sin(f.yaw)
    center = -0.55 * turn
    near = -np.sign(at.x - center) * turn
    x = np.abs(at.x - center) - 0.545 - 0.025 * f.face_width + 0.20 * np.abs(near)
    outside = 1.0 - coverage(at.outline, f.softness)
    seen = np.maximum(outside, np.clip(5.0 * near - 0.5, 0.0, 1.0))
    seen = seen * np.clip(2.4 - 4.5 * f.hair_length, 0.0, 1.0)
    mask = coverage(ellipse(x, at.y, 0.015, 0.10, 0.062, 0.135), f.softness)
    tone = 0.90 - 0.35 * bump(x, at.y, 0.025, 0.09, 0.035, 0.09) + 0.2 * f.light_x * at.side
    colour = f.skin * _rgb(1, 0.92, 0.9)
    _paint(canvas, seen * mask, colour * (tone * f.brightness)[:, None])


def _eyeglasses(canvas, at, f):
    u = at.u - 0.06 * np.sin(f.yaw)
    du, dv = np.abs(u) - EYE_X - 0.005, at.v - 0.02
    power = 4.0 - 2.0 * f.glasses_roundness
    reach = np.abs(du / 0.185) ** power + np.abs(dv / (0.125 + 0.03 * f.glasses_roundness)) ** power
    lens = (reach ** (1.0 / power) - 1.0) * 0.15
    glare = 0.25 * np.clip(1.0 - 5.0 * np.abs(du + dv + 0.06), 0.0, 1.0)
    tint = (0.10 + 0.16 * glare)[:, None]
    _paint(canvas, f.eyeglasses * f.glasses_tint * coverage(lens, f.softness), tint)
    rim = np.abs(lens) - 0.016
    bridge = np.maximum(np.abs(dv + 0.035) - 0.016, np.abs(u) - 0.10)
    behind = at.outline - 0.02 + 0.25 * f.hair_length  # the hair hides where it meets the ear
    temple = np.maximum(np.abs(dv + 0.05) - 0.016, np.maximum(0.17 - du, behind))
    frame = np.minimum(np.minimum(rim, bridge), temple)
    colour = _palette(f.glasses_lightness, ((0.4, (0.06, 0.05, 0.06)), (1.0, (0.42, 0.24, 0.14))))
    _paint(canvas, f.eyeglasses * coverage(frame, f.softness), colour)


def _hat(canvas, at, f):
    """A crown, a band and a brim that ranges from a cap's to a sun hat's."""
    x, y = at.x + 0.42 * np.sin(f.yaw), at.y + 0.75 * np.sin(f.pitch)
    sag = y - 0.10 * np.square(x / 0.6)
    visor = 0.52 * np.sin(f.yaw) * (1.0 - f.hat_brim)
    height = 0.145 - 0.055 * f.hat_brim
    brim = ellipse(x - visor, sag, 0.0, -0.37, 0.45 + 0.55 * f.hat_brim, height)
    dome = squircle(x / 0.62, (y + 0.36) / 0.58, 0.2 + 0.6 * f.hat_brim)
    crown = np.maximum(dome * 0.58, sag + 0.36)
    shadow = np.clip(1.0 - (sag + 0.30) / 0.22, 0.0, 1.0) * coverage(at.outline, f.softness)
    _shade(canvas, -0.45 * f.hat * shadow)
    colour = _muted(f.hat_hue, 0.13, 0.16 + 0.62 * f.hat_lightness)
    tone = 0.95 + 0.35 * f.light_x * x + 0.25 * bump(x, y, 0.3 * f.light_x, -0.7, 0.5, 0.25)
    _paint(canvas, f.hat * coverage(crown, f.softness), colour * tone[:, None])
    band = np.maximum(crown, np.abs(sag + 0.47) - 0.05)
    band = 0.8 * f.hat * np.minimum(2.0 * f.hat_brim, 1.0) * coverage(band, f.softness)
    _paint(canvas, band, colour * 0.45)
    lip = 0.80 - 2.2 * (sag + 0.37) + 0.3 * f.light_x * x
    _paint(canvas, f.hat * coverage(brim, f.softness), colour * lip[:, None])


# (painter, window in upright coordinates or None for the whole frame, the factor that must be > 0)
PARTS = (
    (_background, None, None),
    (_clothes, (-1.4, 1.4, 0.75, 1.4), None),
    (_back_hair, None, None),
    (_neck, (-0.7, 0.7, 0.35, 1.4), None),
    (_head, None, None),
    (_relief, (-0.62, 0.62, -0.5, 1.0), None),
    (_nose, (-0.32, 0.32, -0.2, 0.5), None),
    (_eyes, (-0.5, 0.5, -0.22, 0.15), None),
    (_brows, (-0.55, 0.55, -0.36, 0.0), None),
    (_mouth, (-0.35, 0.35, 0.38, 0.9), None),
    (_beard, (-1.0, 1.0, -0.35, 1.2), "beard"),
    (_mustache, (-0.35, 0.35, 0.32, 0.62), "mustache"),
    (_front_hair, None, None),
    (_ears, (-0.95, 0.95, -0.1, 0.3), None),
    (_eyeglasses, (-0.95, 0.95, -0.25, 0.3), "eyeglasses"),
    (_hat, (-1.4, 1.4, -1.4, 0.2), "hat"),
)
