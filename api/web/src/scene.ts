/** The 3D view: camera, lights, drawing when something changed, and what lies under the pointer. */

import {
  AmbientLight,
  Color,
  ColorManagement,
  DirectionalLight,
  LinearSRGBColorSpace,
  PerspectiveCamera,
  Raycaster,
  Scene,
  Vector2,
  Vector3,
  WebGLRenderer,
  type Object3D,
} from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";

import type { Vector } from "./contract";
import type { Ray } from "./picking";

// Colours are given as they are to be seen.
ColorManagement.enabled = false;

const CLICK_PIXELS = 5;
const TURN = Math.PI / 24;
const MOST_PIXEL_RATIO = 2;
const LONGEST_FRAME_MS = 2000;

export interface PointerListener {
  /** The pointer lies at a ray, or left. */
  hover: (ray: Ray | null) => void;
  click: (ray: Ray) => void;
}

export class SceneView {
  readonly scene = new Scene();
  readonly camera = new PerspectiveCamera(30, 1, 0.001, 100);
  private readonly renderer: WebGLRenderer;
  private readonly controls: OrbitControls;
  private readonly afterDraw: (() => void)[] = [];
  private readonly centre = new Vector3();
  private radius = 1;
  private wanted = false;
  /** Whether there is no graphics card. */
  readonly inSoftware: boolean;
  /** Called when the camera moves. */
  onMoved: () => void = () => undefined;
  /** From one frame to the next while something moves. */
  frameMs = 16;
  private drawnAt = 0;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly pointer: PointerListener,
  ) {
    this.inSoftware = drawsInSoftware();
    this.renderer = new WebGLRenderer({ canvas, antialias: !this.inSoftware, alpha: true, stencil: true });
    this.renderer.outputColorSpace = LinearSRGBColorSpace;
    this.renderer.setClearAlpha(0);
    this.renderer.setPixelRatio(Math.min(devicePixelRatio, MOST_PIXEL_RATIO));
    this.camera.up.set(0, 0, 1);
    const light = new DirectionalLight(0xffffff, 2.2);
    light.position.set(-0.4, 0.6, 1);
    this.camera.add(light);
    this.scene.add(this.camera, new AmbientLight(0xffffff, 1.5));
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.zoomToCursor = true;
    this.controls.addEventListener("change", () => {
      this.onMoved();
      this.draw();
    });
    this.listen();
    new ResizeObserver(() => this.resize()).observe(canvas.parentElement as Element);
  }

  add(...objects: Object3D[]): void {
    this.scene.add(...objects);
  }

  /** Called after each frame: labels and axes follow the camera. */
  onDrawn(listener: () => void): void {
    this.afterDraw.push(listener);
  }

  /** Draws once with the next frame, however often it is asked for. */
  draw(): void {
    if (this.wanted) return;
    this.wanted = true;
    requestAnimationFrame((now) => {
      this.wanted = false;
      // What is longer was a pause.
      if (now - this.drawnAt < LONGEST_FRAME_MS) this.frameMs += 0.3 * (now - this.drawnAt - this.frameMs);
      this.drawnAt = now;
      this.renderer.render(this.scene, this.camera);
      for (const listener of this.afterDraw) listener();
    });
  }

  /** Looks at the middle of a part from a direction, near enough to fill the view. */
  look(centre: Vector, diagonal: number, from: Vector = [1, -1.35, 0.95]): void {
    this.centre.set(...centre);
    this.radius = 0.5 * diagonal;
    this.camera.near = 0.01 * diagonal;
    this.camera.far = 30 * diagonal;
    this.turnTo(from);
  }

  turnTo(from: Vector): void {
    const half = Math.tan((this.camera.fov * Math.PI) / 360) * Math.min(1, this.camera.aspect);
    const distance = (1.06 * this.radius) / Math.sin(Math.atan(half));
    this.controls.target.copy(this.centre);
    // Straight from above is no direction for a camera whose up is up.
    const direction = new Vector3(...from).add(new Vector3(0, -1e-4, 0)).normalize();
    this.camera.position.copy(this.centre).addScaledVector(direction, distance);
    this.camera.updateProjectionMatrix();
    this.controls.update();
    this.draw();
  }

  /** Turns the camera around the part, radians. */
  orbit(right: number, up: number): void {
    const offset = this.camera.position.clone().sub(this.controls.target);
    const length = offset.length();
    const azimuth = Math.atan2(offset.y, offset.x) + right;
    const height = Math.min(1.56, Math.max(-1.56, Math.asin(offset.z / length) + up));
    offset.set(Math.cos(azimuth) * Math.cos(height), Math.sin(azimuth) * Math.cos(height), Math.sin(height));
    this.camera.position.copy(this.controls.target).addScaledVector(offset, length);
    this.controls.update();
    this.draw();
  }

  zoom(factor: number): void {
    this.camera.position.lerp(this.controls.target, 1 - factor);
    this.controls.update();
    this.draw();
  }

  /** Where a place is drawn, CSS pixels from the view's corner; null behind the camera. */
  project(place: Vector): { x: number; y: number } | null {
    const projected = new Vector3(...place).project(this.camera);
    if (projected.z > 1) return null;
    const { clientWidth, clientHeight } = this.canvas;
    return { x: (0.5 + 0.5 * projected.x) * clientWidth, y: (0.5 - 0.5 * projected.y) * clientHeight };
  }

  /** The three axes as seen: x to the right, y up, z towards the eye. */
  axes(): Vector[] {
    const inverse = this.camera.quaternion.clone().invert();
    return [new Vector3(1, 0, 0), new Vector3(0, 1, 0), new Vector3(0, 0, 1)].map(
      (axis) => axis.applyQuaternion(inverse).toArray() as Vector,
    );
  }

  private listen(): void {
    let down: { x: number; y: number } | null = null;
    let hovering: PointerEvent | null = null;
    this.canvas.addEventListener("pointerdown", (event) => {
      down = event.isPrimary && event.button === 0 ? { x: event.clientX, y: event.clientY } : null;
    });
    this.canvas.addEventListener("pointerup", (event) => {
      if (down && Math.hypot(event.clientX - down.x, event.clientY - down.y) <= CLICK_PIXELS) {
        this.pointer.click(this.rayOf(event));
      }
      down = null;
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (event.buttons || event.pointerType === "touch") return;
      // At most one look a frame.
      if (!hovering) {
        requestAnimationFrame(() => {
          if (hovering) this.pointer.hover(this.rayOf(hovering));
          hovering = null;
        });
      }
      hovering = event;
    });
    this.canvas.addEventListener("pointerleave", () => {
      hovering = null;
      this.pointer.hover(null);
    });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const actions: Record<string, () => void> = {
      ArrowLeft: () => this.orbit(-TURN, 0),
      ArrowRight: () => this.orbit(TURN, 0),
      ArrowUp: () => this.orbit(0, TURN),
      ArrowDown: () => this.orbit(0, -TURN),
      "+": () => this.zoom(0.85),
      "=": () => this.zoom(0.85),
      "-": () => this.zoom(1 / 0.85),
      f: () => this.turnTo([1, -1.35, 0.95]),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  private rayOf(event: PointerEvent): Ray {
    const box = this.canvas.getBoundingClientRect();
    const caster = new Raycaster();
    const x = (2 * (event.clientX - box.left)) / box.width - 1;
    const y = 1 - (2 * (event.clientY - box.top)) / box.height;
    caster.setFromCamera(new Vector2(x, y), this.camera);
    return { origin: caster.ray.origin.toArray(), direction: caster.ray.direction.toArray() };
  }

  private resize(): void {
    const { clientWidth, clientHeight } = this.canvas.parentElement as HTMLElement;
    if (!clientWidth || !clientHeight) return;
    this.renderer.setSize(clientWidth, clientHeight, false);
    this.camera.aspect = clientWidth / clientHeight;
    this.camera.updateProjectionMatrix();
    this.draw();
  }
}

/** Whether there is no graphics card: smooth edges would cost half of the frames then. */
function drawsInSoftware(): boolean {
  const context = document.createElement("canvas").getContext("webgl2");
  const info = context?.getExtension("WEBGL_debug_renderer_info");
  const name = info ? String(context?.getParameter(info.UNMASKED_RENDERER_WEBGL)) : "";
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(name);
}

/** A colour of the style sheet. */
export function styleColour(name: string): Color {
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const text = getComputedStyle(probe).color;
  probe.remove();
  const [r, g, b] = (text.match(/[\d.]+/g) ?? ["0", "0", "0"]).map(Number);
  return new Color(r / 255, g / 255, b / 255);
}
