#!/usr/bin/env python3
"""SEPROG training steps in PyTorch against the native engine: same weights, same ids, taking turns.

Needs torch 2.10, transformers 5 and safetensors, and the native driver (cmake -DSEPROG_BENCH=ON, target seprog_step).
The PyTorch side is what a careful user writes: Hugging Face T5 modules, the base encoded without a graph, the head on
target rows only, clip_grad_norm_, Adam (fused where asked). Both sides must agree on loss and gradient norm.

  OMP_WAIT_POLICY=passive python3 bench/peers/seprog_step.py --shape t5-mini --prompt 8
"""
from taking_turns import CONFIGS, T5_SHAPES, EpisodeFile, answer_lines, arguments, compare, load_base, read_task

WIDTHS = {"t5-mini": 256, "t5-small": 768}


def serve(folder, fused, matmul):
    """The PyTorch side: answers the same lines as the native driver."""
    import torch
    import torch.nn.functional as F
    from safetensors.torch import load_file
    from transformers import T5EncoderModel

    task = read_task(folder, matmul)
    spec, K = task["spec"], task["edits"]
    base = load_base(folder, task).requires_grad_(False)
    config = base.config

    class Seprog(torch.nn.Module):
        def __init__(self):
            super().__init__()
            h, d = spec["hiddenWidth"], config.d_model
            self.edit_encoder = T5EncoderModel(config)
            self.W_o, self.b_o = torch.nn.Parameter(torch.empty(h, d)), torch.nn.Parameter(torch.empty(h))
            self.W_att = torch.nn.Parameter(torch.empty(h, d))
            linear = torch.nn.Linear
            self.NN_e = torch.nn.ModuleList([linear(h + d, h), linear(h, h), linear(h, 1)])
            self.NN_prompt = torch.nn.ModuleList([linear(h, h), linear(h, spec["promptLength"] * d)])

        def edits(self, ids, mask):
            states = self.edit_encoder(input_ids=ids, attention_mask=mask).last_hidden_state
            return F.linear(pool(states, mask), self.W_o, self.b_o)

        def select(self, b, H_e):
            alpha = (F.linear(b, self.W_att) @ H_e.T / spec["hiddenWidth"] ** 0.5).softmax(-1)
            return alpha @ H_e

        def scope(self, h, b):
            x = torch.cat([h, b], -1)
            return self.NN_e[2](F.relu(self.NN_e[1](F.relu(self.NN_e[0](x))))).squeeze(-1)

        def prompts(self, h):
            return self.NN_prompt[1](F.relu(self.NN_prompt[0](h))).view(len(h), spec["promptLength"], -1)

    def pool(states, mask):
        return (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)

    editor = Seprog()
    missing, unexpected = editor.load_state_dict(load_file(f"{folder}/editor.safetensors"), strict=False)
    assert not unexpected and all("embed_tokens" in name for name in missing), (missing, unexpected)
    editor.edit_encoder.tie_weights()
    episode = EpisodeFile(folder)
    (z, z_mask), (y, y_mask) = episode.rows("text"), episode.rows("target")
    width = max(int(episode.table[f"{name}.lengths"].max()) for name in ("in", "out"))
    x, x_mask = (torch.cat([F.pad(side, (0, width - side.shape[1])) for side in sides])
                 for sides in zip(episode.rows("in"), episode.rows("out")))
    optimizer = torch.optim.Adam(editor.parameters(), lr=1e-4, fused=fused or None)
    P, lam = spec["promptLength"], spec["lambda"]

    def step():
        H_e = editor.edits(z, z_mask)
        with torch.no_grad():
            states = base.encoder(input_ids=x, attention_mask=x_mask).last_hidden_state
            b = pool(states, x_mask)
        h = editor.select(b, H_e)
        logit = editor.scope(h, b)
        scope_loss = -F.logsigmoid(logit[:K]).mean() - F.logsigmoid(-logit[K:]).mean()
        shifted = torch.cat([torch.zeros(K, 1, dtype=torch.long), y[:, :-1]], 1)
        inputs = torch.cat([editor.prompts(h[:K]), base.shared(shifted)], 1)
        out = base.decoder(inputs_embeds=inputs, encoder_hidden_states=states[:K], encoder_attention_mask=x_mask[:K],
                           use_cache=False).last_hidden_state
        real = y_mask.bool()
        logits = base.lm_head(out[:, P:][real] * config.d_model**-0.5)
        prompt_loss = F.cross_entropy(logits, y[real])
        loss = lam * scope_loss + (1 - lam) * prompt_loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(editor.parameters(), spec["clipNorm"])
        optimizer.step()
        return dict(loss=loss.item(), scopeLoss=scope_loss.item(), promptLoss=prompt_loss.item(), gradNorm=norm.item())

    answer_lines(step)


def main():
    parser = arguments(__doc__, T5_SHAPES, "t5-mini", rounds=10, steps=3, threads=1)
    parser.add_argument("--prompt", type=int, default=32)
    parser.add_argument("--text", type=int, default=32)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve, options.fused, options.matmul)
    spec = {"kind": "seprog", "promptLength": options.prompt, "hiddenWidth": WIDTHS[options.shape], "seed": 1, "clipNorm": 5,
            "lambda": 0.3}
    compare(__file__, options, dict(config=CONFIGS[options.shape], spec=spec, text=options.text),
            agree=("loss", "scopeLoss", "promptLoss", "gradNorm"), shown=dict(prompt=options.prompt))


if __name__ == "__main__":
    main()
