"""What type checkers read instead of `__init__.py`."""

from histoloop.acquisition.strategies import reason_of as reason_of
from histoloop.annotations.records import ClassScheme as ClassScheme
from histoloop.errors import HistoLoopError as HistoLoopError
from histoloop.geometry import Region as Region
from histoloop.progress import Progress as Progress
from histoloop.progress import finish as finish
from histoloop.slides.find import find_slides as find_slides
from histoloop.slides.reader import Slide as Slide
from histoloop.slides.reader import open_slide as open_slide
from histoloop.store.project import Project as Project
from histoloop.store.shipped import model_names as model_names
from histoloop.workflows.contents.rounds import HowToLearn as HowToLearn
from histoloop.workflows.decisions import keep as keep
from histoloop.workflows.decisions import roll_back as roll_back
from histoloop.workflows.export import export_project as export_project
from histoloop.workflows.prediction.loaded_model import LoadedModel as LoadedModel
from histoloop.workflows.prediction.loaded_model import open_model as open_model
from histoloop.workflows.prediction.predict import predict_project as predict_project
from histoloop.workflows.prediction.predict_files import predict_files as predict_files
from histoloop.workflows.prediction.predict_slide import predict_slide as predict_slide
from histoloop.workflows.prediction.predict_slide import write_mask as write_mask
from histoloop.workflows.prediction.predict_slide import write_polygons as write_polygons
from histoloop.workflows.projects import create_project as create_project
from histoloop.workflows.projects import import_slides as import_slides
from histoloop.workflows.projects import opened_project as opened_project
from histoloop.workflows.queries.ask import ask as ask
from histoloop.workflows.reports import PredictedSlide as PredictedSlide
from histoloop.workflows.retraining.retrain import retrain as retrain

__version__: str
