// What FT minimises: the edits' loss, or that and how far answers to other questions move (ft.md section 3).
#pragma once

#include "../train/edit_loss.h"

namespace seprog {

/// Edit: L_edit. Kl: KL(base ‖ edited) on one row a step + c · L_edit. Total: λ · KL on K rows + (1−λ) · L_edit.
enum class FtObjective { Edit, Kl, Total };

struct FtWeights {
  FtObjective objective = FtObjective::Edit;
  double editWeight = 1e-2;  // c
  double lambda = 0.3;
};

/// The rows whose answers are kept at a step: the next of all in turn (Kl), or as many as there are edits (Total).
/// Throws DATA_INVALID where there are none to keep.
PairRows keptRows(FtObjective objective, const PairRows& outScope, int64_t step, int64_t edits);

struct FtLoss {
  EditLoss edit;        // `gradients` are those of `total`
  double locality = 0;  // KL(original ‖ edited), mean over tokens; 0 where the objective has no such term
  double total = 0;
};

/// `leaves` are the weights of `edited` to differentiate for. Without gradients, or where every edit is right,
/// there is no step to make and the locality term is left out.
FtLoss ftLoss(const FtWeights& weights, const Model& original, const Model& edited, const TensorTable& leaves,
              const PairRows& edits, const PairRows& kept, bool withGradients, int64_t microBatch,
              JobContext& context);

}  // namespace seprog
