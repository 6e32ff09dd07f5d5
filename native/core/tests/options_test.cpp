#include "core/options.h"

#include "failure.h"

namespace seprog {
namespace {

TEST(Options, ReadsTypesAndFallbacks) {
  Options options(Json::parse(R"({"s":"x","n":1.5,"i":3,"b":true,"o":{"k":1},"z":null})"), "editor");
  EXPECT_EQ(options.string("s"), "x");
  EXPECT_EQ(options.number("n"), 1.5);
  EXPECT_EQ(options.integer("i"), 3);
  EXPECT_TRUE(options.boolean("b"));
  EXPECT_EQ(options.integer("missing", 7), 7);
  EXPECT_EQ(options.string("z", "null counts as absent"), "null counts as absent");
  EXPECT_FALSE(options.has("z"));
  EXPECT_EQ(options.choice("s", {"w", "x"}), "x");
  Options child = options.child("o");
  EXPECT_EQ(child.integer("k"), 1);
  child.finish();
  options.finish();
  Options absent = options.child("absent");
  EXPECT_EQ(absent.integer("k", 2), 2);
}

TEST(Options, RefusesWithTheFullPath) {
  const Json json = Json::parse(R"({"n":"1","i":1.5,"s":2,"b":1,"c":"red","o":[1]})");
  Options options(json, "editor");
  expectFailure(ErrorCode::ConfigInvalid, "expected a number for `editor.n` but received \"1\"",
                [&] { options.number("n"); });
  expectFailure(ErrorCode::ConfigInvalid, "a whole number for `editor.i` but received 1.5",
                [&] { options.integer("i"); });
  expectFailure(ErrorCode::ConfigInvalid, "a string for `editor.s`", [&] { options.string("s"); });
  expectFailure(ErrorCode::ConfigInvalid, "true or false for `editor.b`", [&] { options.boolean("b"); });
  expectFailure(ErrorCode::ConfigInvalid, "one of \"green\", \"blue\" for `editor.c`", [&] {
    options.choice("c", {"green", "blue"});
  });
  expectFailure(ErrorCode::ConfigInvalid, "an object for `editor.o`", [&] { options.child("o"); });
  expectFailure(ErrorCode::ConfigInvalid, "`editor.absent` but received nothing",
                [&] { options.integer("absent"); });
  expectFailure(ErrorCode::ConfigInvalid, "an object for `editor` but received 3",
                [] { Options(Json(3), "editor"); });
}

TEST(Options, NamesEveryUnknownKey) {
  Options options(Json::parse(R"({"known":1,"tpyo":2,"other":3})"), "train.editor");
  options.integer("known");
  expectFailure(ErrorCode::ConfigInvalid, "`train.editor.tpyo`, `train.editor.other`; known here: known",
                [&] { options.finish(); });
}

}  // namespace
}  // namespace seprog
