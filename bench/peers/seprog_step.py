#!/usr/bin/env python3
"""SEPROG training steps in PyTorch against the native engine: same weights, same ids, taking turns.

Needs torch 2.10, transformers 5 and safetensors, and the native driver (cmake -DSEPROG_BENCH=ON, target seprog_step).
The PyTorch side is what a careful user writes: Hugging Face modules, the base encoded once and without a graph, the head
on target rows only, clip_grad_norm_, Adam (fused where asked). With --as-written it is what stands in the first draft:
Hugging Face's whole forward from the input ids with `labels`, so the in-scope inputs are encoded again and the head and
its loss run over every decoder position; the base is frozen all the same. Both sides must agree on loss and gradient norm.

  OMP_WAIT_POLICY=passive python3 bench/peers/seprog_step.py --shape t5-mini --prompt 8
"""
from taking_turns import (CONFIGS, T5_SHAPES, Clip, EpisodeFile, answer_lines, arguments, compare, load_base,
                          read_task)

SHAPES = [*T5_SHAPES, "bart-base", "distilgpt2"]
WIDTHS = {"t5-mini": 256}  # 768 for the others
# GPT-2 has no encoder: edits are read by a DistilBERT, here with GPT-2's vocabulary so that one set of ids serves.
DISTILBERT = dict(vocab_size=50257, dim=768, hidden_dim=3072, n_layers=6, n_heads=12, max_position_embeddings=512,
                  dropout=0.0, attention_dropout=0.0)


class EncoderDecoder:
    """T5 and BART: the prompt stands before the decoder's tokens, which attend over the encoded input."""

    def __init__(self, base, folder):
        self.base, self.config = base, base.config
        self.head_scale = self.config.d_model**-0.5 if self.config.model_type == "t5" else 1.0
        self.embed = base.get_input_embeddings()

    def edit_encoder(self):
        import copy

        return copy.deepcopy(self.base.get_encoder())

    def encode(self, x, x_mask):
        return self.base.get_encoder()(input_ids=x, attention_mask=x_mask).last_hidden_state

    def decoder_inputs(self, prompts, y):
        from torch import cat, full

        shifted = cat([full((len(y), 1), self.config.decoder_start_token_id), y[:, :-1]], 1)
        return cat([prompts, self.embed(shifted)], 1)

    def target_logits(self, prompts, x, x_mask, states, y, real):
        out = self.base.get_decoder()(inputs_embeds=self.decoder_inputs(prompts, y), encoder_hidden_states=states,
                                      encoder_attention_mask=x_mask, use_cache=False).last_hidden_state
        return self.base.lm_head(out[:, prompts.shape[1]:][real] * self.head_scale)

    def whole_forward_loss(self, prompts, x, x_mask, labels):
        from torch.nn.functional import pad

        y = labels.clamp_min(0)
        return self.base(input_ids=x, attention_mask=x_mask, decoder_inputs_embeds=self.decoder_inputs(prompts, y),
                         labels=pad(labels, (prompts.shape[1], 0), value=-100), use_cache=False).loss


class DecoderOnly:
    """GPT-2: the prompt stands before the input, whose continuation is the answer. For inputs of one length."""

    def __init__(self, base, folder):
        self.base, self.config, self.folder = base, base.config, folder
        self.embed = base.get_input_embeddings()

    def edit_encoder(self):
        from transformers import DistilBertModel

        return DistilBertModel.from_pretrained(f"{self.folder}/encoder", attn_implementation="eager")

    def encode(self, x, x_mask):
        return self.base.transformer(input_ids=x, attention_mask=x_mask, use_cache=False).last_hidden_state

    def target_logits(self, prompts, x, x_mask, states, y, real):
        from torch import cat

        inputs = cat([prompts, self.embed(x), self.embed(y[:, :-1])], 1)
        out = self.base.transformer(inputs_embeds=inputs, use_cache=False).last_hidden_state
        return self.base.lm_head(out[:, prompts.shape[1] + x.shape[1] - 1:][real])

    def whole_forward_loss(self, prompts, x, x_mask, labels):
        from torch import cat
        from torch.nn.functional import pad

        inputs = cat([prompts, self.embed(x), self.embed(labels.clamp_min(0))], 1)
        before = prompts.shape[1] + x.shape[1]
        return self.base(inputs_embeds=inputs, labels=pad(labels, (before, 0), value=-100), use_cache=False).loss


def write_edit_encoder(folder):
    """DistilBERT-shaped random weights in FOLDER/encoder, read by both sides."""
    import torch
    from transformers import DistilBertConfig, DistilBertModel

    torch.manual_seed(2)
    DistilBertModel(DistilBertConfig(**DISTILBERT)).save_pretrained(f"{folder}/encoder")


def serve(folder, options):
    """The PyTorch side: answers the same lines as the native driver."""
    import contextlib

    import torch
    import torch.nn.functional as F
    from safetensors.torch import load_file

    task = read_task(folder, options.matmul)
    spec, K = task["spec"], task["edits"]
    base = load_base(folder, task, attention=None if options.as_written else "eager").requires_grad_(False)
    family = (DecoderOnly if task["config"]["model_type"] == "gpt2" else EncoderDecoder)(base, folder)
    if options.compile:
        family.base = torch.compile(base)

    class Seprog(torch.nn.Module):
        def __init__(self):
            super().__init__()
            h, d, d_b = spec["hiddenWidth"], family.embed.embedding_dim, base.config.hidden_size
            self.edit_encoder = family.edit_encoder().requires_grad_(True)
            self.W_o, self.b_o = torch.nn.Parameter(torch.empty(h, d_b)), torch.nn.Parameter(torch.empty(h))
            self.W_att = torch.nn.Parameter(torch.empty(h, d_b))
            linear = torch.nn.Linear
            self.NN_e = torch.nn.ModuleList([linear(h + d_b, h), linear(h, h), linear(h, 1)])
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
    # The edit encoder starts as a copy of the base's, or is read from the folder that the engine reads.
    own = {name: tensor for name, tensor in load_file(f"{folder}/editor.safetensors").items()
           if not name.startswith("edit_encoder.")}
    missing, unexpected = editor.load_state_dict(own, strict=False)
    assert not unexpected and all(name.startswith("edit_encoder.") for name in missing), (missing, unexpected)
    episode = EpisodeFile(folder)
    (z, z_mask), (y, y_mask) = episode.rows("text"), episode.rows("target")
    width = max(int(episode.table[f"{name}.lengths"].max()) for name in ("in", "out"))
    x, x_mask = (torch.cat([F.pad(side, (0, width - side.shape[1])) for side in sides])
                 for sides in zip(episode.rows("in"), episode.rows("out")))
    real = y_mask.bool()
    optimizer = torch.optim.Adam(editor.parameters(), lr=1e-4, fused=options.fused or None)
    clip = Clip(editor.parameters(), spec["clipNorm"])
    lam = spec["lambda"]

    def step():
        H_e = editor.edits(z, z_mask)
        with contextlib.nullcontext() if options.as_written else torch.no_grad():
            states = family.encode(x, x_mask)
            b = pool(states, x_mask)
        h = editor.select(b, H_e)
        logit = editor.scope(h, b)
        scope_loss = -F.logsigmoid(logit[:K]).mean() - F.logsigmoid(-logit[K:]).mean()
        prompts = editor.prompts(h[:K])
        if options.as_written:
            prompt_loss = family.whole_forward_loss(prompts, x[:K], x_mask[:K], y.masked_fill(~real, -100))
        else:
            prompt_loss = F.cross_entropy(family.target_logits(prompts, x[:K], x_mask[:K], states[:K], y, real), y[real])
        loss = lam * scope_loss + (1 - lam) * prompt_loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = clip()
        optimizer.step()
        return dict(loss=loss.item(), scopeLoss=scope_loss.item(), promptLoss=prompt_loss.item(), gradNorm=norm)

    answer_lines(step)


def main():
    parser = arguments(__doc__, SHAPES, "t5-mini", rounds=10, steps=3, threads=1)
    parser.add_argument("--prompt", type=int, default=32)
    parser.add_argument("--text", type=int, default=32)
    parser.add_argument("--as-written", action="store_true", help="the PyTorch side as Hugging Face's forward has it")
    parser.add_argument("--compile", action="store_true", help="the base as written, through torch.compile")
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve, options)
    if options.shape == "distilgpt2" and options.ragged:
        parser.error("distilgpt2 is compared on inputs of one length")
    if options.compile and not options.as_written:
        parser.error("--compile needs --as-written: what is compiled is the base's whole forward")
    spec = {"kind": "seprog", "promptLength": options.prompt, "hiddenWidth": WIDTHS.get(options.shape, 768), "seed": 1,
            "clipNorm": 5, "lambda": 0.3}

    def prepare(folder):
        if options.shape != "distilgpt2":
            return {}
        write_edit_encoder(folder)
        return {"spec": spec | {"editEncoder": {"source": "directory", "path": f"{folder}/encoder"}}}

    compare(__file__, options, dict(config=CONFIGS[options.shape], spec=spec, text=options.text),
            agree=("loss", "scopeLoss", "promptLoss", "gradNorm"), prepare=prepare,
            served=[flag for flag, on in (("--as-written", options.as_written), ("--compile", options.compile)) if on],
            shown=dict(prompt=options.prompt, asWritten=options.as_written, compiled=options.compile))


if __name__ == "__main__":
    main()
