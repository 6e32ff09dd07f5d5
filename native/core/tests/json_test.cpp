#include "core/json.h"

#include "failure.h"

namespace seprog {
namespace {

TEST(Json, RoundTrip) {
  const std::string text =
      R"({"a":1,"b":-2.5,"c":[true,false,null],"d":{"e":"x\"\\\n\u0001é"},"f":1e-6,"g":9007199254740991,"h":[]})";
  const Json value = Json::parse(text);
  EXPECT_EQ(Json::parse(value.dump()).dump(), value.dump());
  EXPECT_EQ(value.find("a")->number(), 1);
  EXPECT_EQ(value.find("b")->number(), -2.5);
  EXPECT_EQ(value.find("f")->number(), 1e-6);
  EXPECT_EQ(value.find("g")->number(), 9007199254740991.0);
  EXPECT_EQ(value.find("d")->find("e")->string(), "x\"\\\n\x01é");
  EXPECT_EQ(value.find("missing"), nullptr);
  EXPECT_EQ(value.find("c")->array().size(), 3u);
  EXPECT_EQ(Json::parse(" \t\r\n 1 ").number(), 1);
}

TEST(Json, EscapesBecomeUtf8) {
  EXPECT_EQ(Json::parse(R"("\u00e9\u20ac\ud83d\ude00\/\b\f\r\t")").string(), "é€😀/\b\f\r\t");
}

TEST(Json, RefusesWhatIsNoJson) {
  const char* const texts[] = {"",
                               "{",
                               "[1,]",
                               "{\"a\":1,}",
                               "{\"a\" 1}",
                               "01",
                               "1.",
                               "-",
                               "1e",
                               "tru",
                               "nan",
                               "1 2",
                               "\"\\x\"",
                               "\"\\ud800\"",
                               "\"\\ud800\\u0041\"",
                               "\"\\udc00\"",
                               "\"a",
                               "\"\n\"",
                               "{1:2}",
                               "[1 2]",
                               "1e999",
                               "\"\\u00g0\"",
                               "'a'",
                               "[",
                               "{\"a\":}",
                               "\xef\xbb\xbf{}"};
  for (const char* text : texts) expectFailure(ErrorCode::DataInvalid, "byte", [&] { Json::parse(text); });
  expectFailure(ErrorCode::DataInvalid, "not given before", [] { Json::parse(R"({"a":1,"b":2,"a":3})"); });
  expectFailure(ErrorCode::DataInvalid, "64 levels", [] { Json::parse(std::string(100000, '[')); });
}

}  // namespace
}  // namespace seprog
