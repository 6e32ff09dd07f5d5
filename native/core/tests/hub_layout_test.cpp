// The layouts of the hub's files at tiny sizes; large/hub_models_test.cpp has the same at their real ones.
#include <gtest/gtest.h>

#include "core/editors/editor.h"
#include "failure.h"
#include "hub_layouts.h"
#include "tiny.h"

namespace seprog {
namespace {

TEST(HubLayouts, EachLoadsFromEachKindOfFile) {
  for (const HubModel& hub : hubModels(HubSize::Tiny)) {
    for (const HubFile file : {HubFile::Safetensors, HubFile::TorchZip, HubFile::TorchLegacy}) {
      const tiny::Folder folder;
      writeHubFolder(hub, folder.path(), file);
      expectHubFolderLoads(hub, folder.path());
    }
  }
}

TEST(HubLayouts, BaseModelsAnswer) {
  JobContext context;
  for (const HubModel& hub : hubModels(HubSize::Tiny)) {
    if (hub.asEncoder) continue;
    SCOPED_TRACE(hub.name);
    const tiny::Folder folder;
    writeHubFolder(hub, folder.path(), HubFile::TorchZip);
    const auto model = std::make_shared<Model>(expectHubFolderLoads(hub, folder.path()));
    const auto scorer = baseScorer(model);
    const TokenRows source{{7, 8, 9, 10, 11}, {3, 2}};
    const bool label = model->architecture->answerKind() == AnswerKind::Label;
    const TokenRows target = label ? TokenRows{{0, 1}, {1, 1}} : TokenRows{{5, 6, 4}, {2, 1}};
    const TokenScores scores = scorer->score({source, target}, context);
    ASSERT_EQ(scores.logProb.size(), target.ids.size());
    for (const float logProb : scores.logProb) EXPECT_LT(logProb, 0);
    const Generation generation = scorer->generate(source, {4, true}, context);
    EXPECT_EQ(generation.tokens.rows(), 2);
    for (const int32_t id : generation.tokens.ids) EXPECT_LT(id, model->architecture->targetVocabulary());
  }
}

TEST(HubLayouts, AnEncoderWithoutAHeadIsNoBaseModel) {
  for (const HubModel& hub : {bertBaseUncased(HubSize::Tiny), distilbertBaseCased(HubSize::Tiny)}) {
    const tiny::Folder folder;
    writeHubFolder(hub, folder.path(), HubFile::Safetensors);
    expectFailure(ErrorCode::WeightMissing, "without a classification head",
                  [&] { loadModel(folder.path(), at::kCPU); });
  }
}

TEST(HubLayouts, ThePadTokenIsAFurtherRow) {
  const HubModel hub = distilgpt2(HubSize::Tiny);
  const tiny::Folder folder;
  writeHubFolder(hub, folder.path(), HubFile::TorchZip);
  const Model padded = expectHubFolderLoads(hub, folder.path());
  EXPECT_EQ(padded.architecture->vocabulary(), 61);
  EXPECT_EQ(padded.architecture->padId(), 60);
  const Model plain = loadModel(folder.path(), at::kCPU);
  EXPECT_EQ(plain.architecture->vocabulary(), 60);
  EXPECT_EQ(padded.weights.parameterCount(), plain.weights.parameterCount() + 16);
}

}  // namespace
}  // namespace seprog
