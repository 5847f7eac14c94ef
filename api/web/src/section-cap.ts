/** The cap of a section: a plane, drawn where the stencil says that it lies inside the cut body.
 *
 * The surface knows nothing of the inside, so the cap is neutral: hatched, as on a drawing.
 */

import { Color, DoubleSide, KeepStencilOp, Mesh, NotEqualStencilFunc, PlaneGeometry, ShaderMaterial, Vector3 } from "three";

import type { CutPlane } from "./picking";

const VERTEX = `
varying vec2 vPlace;
void main() {
  vPlace = uv;
  gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
}`;

// Hatching in pixels, so that it looks the same at any distance.
const FRAGMENT = `
uniform vec3 colour;
uniform vec3 hatch;
void main() {
  float stripe = mod(gl_FragCoord.x + gl_FragCoord.y, 9.0);
  gl_FragColor = vec4(stripe < 1.6 ? hatch : colour, 1.0);
}`;

export class SectionCap {
  readonly mesh: Mesh<PlaneGeometry, ShaderMaterial>;

  constructor() {
    const material = new ShaderMaterial({
      vertexShader: VERTEX,
      fragmentShader: FRAGMENT,
      side: DoubleSide,
      stencilWrite: true,
      stencilRef: 0,
      stencilFunc: NotEqualStencilFunc,
      stencilFail: KeepStencilOp,
      stencilZFail: KeepStencilOp,
      stencilZPass: KeepStencilOp,
      uniforms: { colour: { value: new Color() }, hatch: { value: new Color() } },
    });
    this.mesh = new Mesh(new PlaneGeometry(1, 1), material);
    this.mesh.renderOrder = 2;
    this.mesh.visible = false;
  }

  setColours(colour: Color, hatch: Color): void {
    (this.mesh.material.uniforms["colour"].value as Color).copy(colour);
    (this.mesh.material.uniforms["hatch"].value as Color).copy(hatch);
  }

  /** Lies on a plane, large enough for a part. */
  place(plane: CutPlane | null, centre: Vector3, size: number): void {
    this.mesh.visible = plane !== null;
    if (!plane) return;
    const normal = new Vector3(...plane.normal);
    const distance = normal.dot(centre) + plane.offset;
    this.mesh.position.copy(centre).addScaledVector(normal, -distance);
    this.mesh.quaternion.setFromUnitVectors(new Vector3(0, 0, 1), normal);
    this.mesh.scale.setScalar(size);
  }
}
