/** How the part is drawn. Where it is not cut open, light is reckoned at the corners alone: in software, what is carried
 * from corner to pixel is what costs. */

import {
  Color,
  DecrementWrapStencilOp,
  FrontSide,
  IncrementWrapStencilOp,
  BackSide,
  ShaderMaterial,
  type DataTexture,
  type Vector4,
} from "three";

// A light from the left above the eye, and a pale sky.
const LIGHT = `
float lightOf(vec3 normal) {
  float light = max(dot(normal, normalize(vec3(-0.25, 0.45, 0.85))), 0.0);
  float sky = 0.5 + 0.5 * normal.y;
#ifdef COLOURED
  return min(0.70 + 0.24 * light + 0.08 * sky, 1.06);
#else
  return min(0.58 + 0.34 * light + 0.12 * sky, 1.06);
#endif
}`;

const VERTEX = `
attribute vec3 displacement;
uniform float deformation;
#ifdef COLOURED
attribute float value;
varying float vValue;
#else
attribute vec4 tint;
uniform vec3 plainColour;
varying vec3 vColour;
#endif
#ifdef CUT
uniform vec4 cut;
varying float vCut;
varying vec3 vNormal;
#else
varying float vLight;
#endif
${LIGHT}
void main() {
  vec3 place = position + deformation * displacement;
#ifdef COLOURED
  vValue = value;
#else
  vColour = mix(plainColour, tint.rgb, tint.a);
#endif
#ifdef CUT
  vNormal = normalMatrix * normal;
  vCut = dot(cut.xyz, place) + cut.w;
#else
  vLight = lightOf(normalize(normalMatrix * normal));
#endif
  gl_Position = projectionMatrix * modelViewMatrix * vec4(place, 1.0);
}`;

const FRAGMENT = `
#ifdef COLOURED
uniform sampler2D bands;
uniform vec2 range;
varying float vValue;
#else
varying vec3 vColour;
#endif
#ifdef CUT
varying float vCut;
varying vec3 vNormal;
#else
varying float vLight;
#endif
${LIGHT}
void main() {
#ifdef CUT
  if (vCut < 0.0) discard;
  float vLight = lightOf(normalize(vNormal) * (gl_FrontFacing ? 1.0 : -1.0));
#endif
#ifdef COLOURED
  float at = range.y > range.x ? (vValue - range.x) / (range.y - range.x) : 0.0;
  vec3 vColour = texture2D(bands, vec2(clamp(at, 0.001, 0.999), 0.5)).rgb;
#endif
  gl_FragColor = vec4(vColour * vLight, 1.0);
}`;

const LINE_VERTEX = `
attribute vec3 displacement;
uniform float deformation;
uniform vec4 cut;
varying float vCut;
void main() {
  vec3 place = position + deformation * displacement;
  vCut = dot(cut.xyz, place) + cut.w;
  gl_Position = projectionMatrix * modelViewMatrix * vec4(place, 1.0);
}`;

const LINE_FRAGMENT = `
uniform vec3 colour;
uniform float opacity;
varying float vCut;
void main() {
  if (vCut < 0.0) discard;
  gl_FragColor = vec4(colour, opacity);
}`;

/** Uniforms that all passes share by reference. */
export interface Shared {
  deformation: { value: number };
  /** Places with a negative product are cut away. */
  cut: { value: Vector4 };
}

export function bodyMaterial(shared: Shared, bands: DataTexture): ShaderMaterial {
  return new ShaderMaterial({
    vertexShader: VERTEX,
    fragmentShader: FRAGMENT,
    side: FrontSide,
    polygonOffset: true,
    polygonOffsetFactor: 1,
    polygonOffsetUnits: 1,
    uniforms: {
      ...shared,
      bands: { value: bands },
      range: { value: [0, 1] },
      plainColour: { value: new Color(1, 1, 1) },
    },
  });
}

/** Switches a variant of the shaders on or off. */
export function define(material: ShaderMaterial, name: "COLOURED" | "CUT", on: boolean): void {
  if (name in material.defines === on) return;
  if (on) material.defines[name] = "";
  else delete material.defines[name];
  material.needsUpdate = true;
}

export function lineMaterial(shared: Shared, opacity: number): ShaderMaterial {
  return new ShaderMaterial({
    vertexShader: LINE_VERTEX,
    fragmentShader: LINE_FRAGMENT,
    transparent: true,
    depthWrite: false,
    uniforms: { ...shared, colour: { value: new Color() }, opacity: { value: opacity } },
  });
}

/** Counts in the stencil whether a pixel looks into the cut body: back faces up, front faces down. */
export function stencilMaterial(shared: Shared, faces: "back" | "front"): ShaderMaterial {
  const operation = faces === "back" ? IncrementWrapStencilOp : DecrementWrapStencilOp;
  return new ShaderMaterial({
    vertexShader: LINE_VERTEX,
    fragmentShader: LINE_FRAGMENT,
    side: faces === "back" ? BackSide : FrontSide,
    colorWrite: false,
    depthWrite: false,
    depthTest: false,
    stencilWrite: true,
    stencilFail: operation,
    stencilZFail: operation,
    stencilZPass: operation,
    uniforms: { ...shared, colour: { value: new Color() }, opacity: { value: 1 } },
  });
}
